#include "dlcm/language_model.h"

#include "autograd/ops.h"
#include "dlcm/model.h"
#include "dlcm/transformer.h"
#include "nn/linear.h"
#include "tensor/ops/elementwise.h"

namespace dlcm {

nn::BlockConfig block_config(const ModelConfig& model, const StackConfig& stack, int64_t layers,
                             nn::Width fan_in) {
  return {stack.width, stack.heads,        stack.kv_heads,  stack.ff,          fan_in,
          layers,      stack.own_head_dim, model.rope_base, model.norm_epsilon};
}

LanguageModel::LanguageModel(const ModelConfig& config)
    : config_(config),
      embedding_(*this, "embedding", {config.vocab_size, config.token.width},
                 config.tied_embeddings ? nn::tied_role() : nn::embedding_role()) {}

void LanguageModel::create_unembedding() {
  if (config_.tied_embeddings) return;
  unembedding_ = std::make_unique<nn::Parameter>(
      *this, "unembedding", Shape{config_.vocab_size, config_.token.width}, nn::unembedding_role());
}

nn::Variable LanguageModel::embedded(const Tensor& tokens) const {
  return autograd::embedding(tokens, embedding_.variable());
}

Tensor LanguageModel::logits(const Tensor& hidden) const {
  const Tensor result = nn::linear(nn::Variable(hidden), unembedding()).value();
  ops::scale_into(result, 1.0 / config_.token_multiplier());
  return result;
}

nn::Variable LanguageModel::loss(const nn::Variable& hidden, const Tensor& targets,
                                 Tensor* token_loss) const {
  return autograd::linear_cross_entropy(hidden, unembedding().operand(), targets,
                                        1.0 / config_.token_multiplier(), token_loss);
}

std::unique_ptr<LanguageModel> make_model(const ModelConfig& config) {
  check(config);
  if (config.kind == ModelKind::transformer) return std::make_unique<Transformer>(config);
  return std::make_unique<Dlcm>(config);
}

PackedBatch single_document(std::span<const int32_t> tokens) {
  PackedBatch batch;
  const std::vector<int32_t> ids(tokens.begin(), tokens.end());
  std::vector<int32_t> targets(ids.size(), -1);
  for (size_t t = 0; t + 1 < ids.size(); ++t) targets[t] = ids[t + 1];
  batch.tokens = Tensor::from(ids);
  batch.targets = Tensor::from(targets);
  batch.cu_seqlens = Tensor::from<int32_t>({0, static_cast<int32_t>(ids.size())});
  batch.samples = Tensor::from<int64_t>({0});
  return batch;
}

}  // namespace dlcm
