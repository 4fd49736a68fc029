#include "nn/transformer_block.h"

#include "autograd/ops.h"

namespace dlcm::nn {

TransformerBlock::TransformerBlock(Module& parent, const std::string& name, const BlockConfig& config)
    : Module(parent, name),
      attention_norm_(*this, "attention_norm", {config.width}, vector_role(1.0)),
      attention_(*this, "attention", config),
      mlp_norm_(*this, "mlp_norm", {config.width}, vector_role(1.0)),
      mlp_(*this, "mlp", config) {}

Variable TransformerBlock::normalized_for_attention(const Variable& x) const {
  return autograd::rms_norm(x, attention_norm_.variable(), kNormEpsilon);
}

Variable TransformerBlock::with_mlp(const Variable& x) const {
  return autograd::add(x, mlp_.forward(autograd::rms_norm(x, mlp_norm_.variable(), kNormEpsilon)));
}

Variable TransformerBlock::forward(const Variable& x, const SequenceLayout& layout,
                                   KeyValueCache* cache) const {
  return with_mlp(autograd::add(x, attention_.forward(normalized_for_attention(x), layout, cache)));
}

Variable TransformerBlock::step(const Variable& x, const Tensor& rotary,
                                std::span<KeyValueCache* const> caches) const {
  return with_mlp(autograd::add(x, attention_.step(normalized_for_attention(x), rotary, caches)));
}

}  // namespace dlcm::nn
