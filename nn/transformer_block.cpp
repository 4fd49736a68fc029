#include "nn/transformer_block.h"

namespace dlcm::nn {

TransformerBlock::TransformerBlock(Module& parent, const std::string& name, const BlockConfig& config)
    : Module(parent, name),
      norm_epsilon_(config.norm_epsilon),
      attention_norm_(*this, "attention_norm", {config.width}, vector_role(1.0)),
      attention_(*this, "attention", config),
      mlp_norm_(*this, "mlp_norm", {config.width}, vector_role(1.0)),
      mlp_(*this, "mlp", config) {}

void TransformerBlock::forward(ResidualStream& x, const SequenceLayout& layout, KeyValueCache* cache) const {
  x.add(attention_.forward(x.normalized(attention_norm_, norm_epsilon_, attention_.input_dtype()), layout,
                           cache));
  x.add(mlp_.forward(x.normalized(mlp_norm_, norm_epsilon_, mlp_.input_dtype())));
}

void TransformerBlock::step(ResidualStream& x, const Tensor& rotary,
                            std::span<KeyValueCache* const> caches) const {
  x.add(attention_.step(x.normalized(attention_norm_, norm_epsilon_, attention_.input_dtype()), rotary,
                        caches));
  x.add(mlp_.forward(x.normalized(mlp_norm_, norm_epsilon_, mlp_.input_dtype())));
}

}  // namespace dlcm::nn
