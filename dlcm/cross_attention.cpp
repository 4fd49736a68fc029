#include "dlcm/cross_attention.h"

#include <cmath>

#include "autograd/ops.h"
#include "nn/sequence_layout.h"
#include "tensor/ops/rotary.h"

namespace dlcm {
namespace {

using nn::Variable;

constexpr double kOneBlock =
    0.70710678118654752;  // 1 / sqrt(2 x blocks): the cross-attention is a stack of one

nn::BlockConfig mlp_config(const ModelConfig& config) {
  return {config.token.width,        config.token.heads, config.token.kv_heads,
          config.cross_attention.ff, nn::Width::token,   1};
}

// Index of each token's concept in its document.
Tensor concept_positions(const Segmentation& segmentation, const Tensor& key_begin) {
  Tensor positions = segmentation.concept_of.clone();
  for (int64_t t = 0; t < positions.numel(); ++t)
    positions.data<int32_t>()[t] -= key_begin.data<int32_t>()[t];
  return positions;
}

}  // namespace

CrossAttention::CrossAttention(nn::Module& parent, const std::string& name, const ModelConfig& config)
    : Module(parent, name),
      config_(config),
      norm_(*this, "norm", {config.token.width}, nn::vector_role(1.0)),
      q_proj_(*this, "q_proj", {config.token.width, config.token.width}, nn::matrix_role(nn::Width::token)),
      k_proj_(*this, "k_proj", {config.token.kv_heads * config.token.head_dim(), config.backbone.width},
              nn::matrix_role(nn::Width::concepts)),
      v_proj_(*this, "v_proj", {config.token.kv_heads * config.token.head_dim(), config.backbone.width},
              nn::matrix_role(nn::Width::concepts)),
      o_proj_(*this, "o_proj", {config.token.width, config.token.width},
              nn::matrix_role(nn::Width::token, kOneBlock)),
      q_norm_(*this, "q_norm", {config.token.head_dim()}, nn::vector_role(1.0)),
      k_norm_(*this, "k_norm", {config.token.head_dim()}, nn::vector_role(1.0)) {
  if (config.cross_attention.ff > 0) {
    mlp_norm_ =
        std::make_unique<nn::Parameter>(*this, "mlp_norm", Shape{config.token.width}, nn::vector_role(1.0));
    mlp_ = std::make_unique<nn::Mlp>(*this, "mlp", mlp_config(config));
  }
}

Variable CrossAttention::rotated(const Variable& x, const Tensor& positions) const {
  if (config_.cross_attention.rope == CrossRope::none) return x;
  return autograd::rotary(x,
                          ops::rotary_table(positions, config_.token.head_dim(), nn::kRotaryBase, x.dtype()));
}

Variable CrossAttention::queries(const Variable& h, const Tensor& positions) const {
  const Variable normalized = autograd::rms_norm(h, norm_.variable(), nn::kNormEpsilon);
  const Variable q = autograd::view(autograd::linear(normalized, q_proj_.variable()),
                                    {h.size(0), config_.token.heads, config_.token.head_dim()});
  return rotated(autograd::rms_norm(q, q_norm_.variable(), nn::kNormEpsilon), positions);
}

Variable CrossAttention::keys(const Variable& z, const Tensor& positions) const {
  const Variable k = autograd::view(autograd::linear(z, k_proj_.variable()),
                                    {z.size(0), config_.token.kv_heads, config_.token.head_dim()});
  return rotated(autograd::rms_norm(k, k_norm_.variable(), nn::kNormEpsilon), positions);
}

Variable CrossAttention::values(const Variable& z) const {
  return autograd::view(autograd::linear(z, v_proj_.variable()),
                        {z.size(0), config_.token.kv_heads, config_.token.head_dim()});
}

Variable CrossAttention::attend(const Variable& q, const Variable& k, const Variable& v,
                                const Segmentation& segmentation, const Tensor& cu_seqlens) const {
  const CrossAttentionConfig& config = config_.cross_attention;
  if (config.implementation == CrossImplementation::replicated) {
    return autograd::attention(q, autograd::gather_rows(k, segmentation.concept_of),
                               autograd::gather_rows(v, segmentation.concept_of),
                               replicated_ranges(segmentation, cu_seqlens, config, q.dtype()));
  }
  const ops::AttentionLayout ranges = concept_ranges(segmentation, cu_seqlens, config, q.dtype());
  if (config.implementation == CrossImplementation::dense) return autograd::dense_attention(q, k, v, ranges);
  return autograd::attention(q, k, v, ranges);
}

Variable CrossAttention::projected(const Variable& heads) const {
  return autograd::linear(autograd::view(heads, {heads.size(0), config_.token.width}), o_proj_.variable());
}

Variable CrossAttention::with_mlp(const Variable& y) const {
  if (!mlp_) return y;
  return autograd::add(y, mlp_->forward(autograd::rms_norm(y, mlp_norm_->variable(), nn::kNormEpsilon)));
}

Variable CrossAttention::forward(const Variable& h, const Variable& z, const Segmentation& segmentation,
                                 const Tensor& cu_seqlens, const Variable& p,
                                 CrossAttentionState* state) const {
  const Tensor key_begin =
      concept_ranges(segmentation, cu_seqlens, config_.cross_attention, h.dtype()).key_begin;
  const Variable k = keys(z, nn::positions_of(segmentation.cu_seqlens));
  const Variable v = values(z);
  const Variable q = queries(h, concept_positions(segmentation, key_begin));
  Variable result = projected(attend(q, k, v, segmentation, cu_seqlens));
  if (config_.boundary.predictor == Predictor::learned) {
    result = autograd::straight_through(result, p, segmentation.boundary);
  }
  if (state != nullptr && segmentation.count > 0) {
    const int64_t complete = segmentation.count - 1;
    state->concepts.append(k.value().slice(0, complete), v.value().slice(0, complete));
    const int32_t* offsets = segmentation.offsets.data<int32_t>();
    for (int64_t i = 0; i < complete; ++i) {
      state->log_lengths.push_back(std::log(static_cast<float>(offsets[i + 1] - offsets[i])));
    }
  }
  return with_mlp(autograd::add(h, result));
}

void CrossAttention::append(const Tensor& z, std::span<const int64_t> lengths,
                            std::span<CrossAttentionState* const> states) const {
  std::vector<int32_t> positions;
  for (const CrossAttentionState* state : states)
    positions.push_back(static_cast<int32_t>(state->concepts.length()));
  const Tensor k = keys(Variable(z), Tensor::from(positions)).value();
  const Tensor v = values(Variable(z)).value();
  for (size_t b = 0; b < states.size(); ++b) {
    const auto row = static_cast<int64_t>(b);
    states[b]->concepts.append(k.slice(row, row + 1), v.slice(row, row + 1));
    states[b]->log_lengths.push_back(std::log(static_cast<float>(lengths[b])));
  }
}

Variable CrossAttention::step(const Variable& h, std::span<const CrossAttentionState* const> states) const {
  std::vector<int32_t> positions;
  for (const CrossAttentionState* state : states)
    positions.push_back(static_cast<int32_t>(state->concepts.length()));
  const Tensor q = queries(h, Tensor::from(positions)).value();
  std::vector<const nn::KeyValueCache*> concepts;
  std::vector<const std::vector<float>*> biases;
  for (const CrossAttentionState* state : states) {
    concepts.push_back(&state->concepts);
    if (config_.cross_attention.weighting == Weighting::length) biases.push_back(&state->log_lengths);
  }
  const Tensor heads = nn::attend_to_caches(q, concepts, biases);
  return with_mlp(autograd::add(h, projected(Variable(heads))));
}

}  // namespace dlcm
