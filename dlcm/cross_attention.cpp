#include "dlcm/cross_attention.h"

#include <cmath>

#include "autograd/ops.h"
#include "nn/linear.h"
#include "nn/sequence_layout.h"
#include "tensor/ops/cast.h"
#include "tensor/ops/rotary_table.h"

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
      q_proj_(*this, "q_proj", {config.token.heads_width(), config.token.width},
              nn::matrix_role(nn::Width::token)),
      k_proj_(*this, "k_proj", {config.token.kv_heads * config.token.head_dim(), config.backbone.width},
              nn::matrix_role(nn::Width::concepts)),
      v_proj_(*this, "v_proj", {config.token.kv_heads * config.token.head_dim(), config.backbone.width},
              nn::matrix_role(nn::Width::concepts)),
      o_proj_(*this, "o_proj", {config.token.width, config.token.heads_width()},
              nn::matrix_role(nn::Width::token, kOneBlock)),
      q_norm_(*this, "q_norm", {config.token.head_dim()}, nn::vector_role(1.0)),
      k_norm_(*this, "k_norm", {config.token.head_dim()}, nn::vector_role(1.0)) {
  if (config.cross_attention.ff > 0) {
    mlp_norm_ =
        std::make_unique<nn::Parameter>(*this, "mlp_norm", Shape{config.token.width}, nn::vector_role(1.0));
    mlp_ = std::make_unique<nn::Mlp>(*this, "mlp", mlp_config(config));
  }
}

Variable CrossAttention::normalized(const Variable& x, const nn::Parameter& gain,
                                    const Tensor& positions) const {
  if (config_.cross_attention.rope == CrossRope::none) {
    return autograd::rms_norm(x, gain.variable(), config_.norm_epsilon);
  }
  return autograd::rms_norm_rotary(
      x, gain.variable(), config_.norm_epsilon,
      ops::rotary_table(positions, config_.token.head_dim(), config_.rope_base, x.dtype()));
}

Variable CrossAttention::queries(nn::ResidualStream& h, const Tensor& positions) const {
  const Variable q = nn::linear(h.normalized(norm_, config_.norm_epsilon, q_proj_.operand_dtype()), q_proj_);
  const Variable heads = autograd::view(q, {q.size(0), config_.token.heads, config_.token.head_dim()});
  return normalized(heads, q_norm_, positions);
}

Variable CrossAttention::keys(const Variable& z, const Tensor& positions) const {
  const Variable k =
      autograd::view(nn::linear(z, k_proj_), {z.size(0), config_.token.kv_heads, config_.token.head_dim()});
  return normalized(k, k_norm_, positions);
}

Variable CrossAttention::values(const Variable& z) const {
  return autograd::view(nn::linear(z, v_proj_),
                        {z.size(0), config_.token.kv_heads, config_.token.head_dim()});
}

Variable CrossAttention::operand(const Variable& x) const {
  return autograd::cast(x, q_proj_.operand_dtype());
}

Variable CrossAttention::attend(const Variable& q, const Variable& k, const Variable& v,
                                const Segmentation& segmentation, const Tensor& cu_seqlens) const {
  const CrossAttentionConfig& config = config_.cross_attention;
  if (config.implementation == CrossImplementation::replicated) {
    return autograd::attention(operand(q), operand(autograd::gather_rows(k, segmentation.concept_of)),
                               operand(autograd::gather_rows(v, segmentation.concept_of)),
                               replicated_ranges(segmentation, cu_seqlens, config, k.dtype()),
                               o_proj_.operand_dtype());
  }
  const ops::AttentionLayout ranges = concept_ranges(segmentation, cu_seqlens, config, k.dtype());
  if (config.implementation == CrossImplementation::dense) {
    return autograd::dense_attention(operand(q), operand(k), operand(v), ranges);
  }
  return autograd::attention(operand(q), operand(k), operand(v), ranges, o_proj_.operand_dtype());
}

Variable CrossAttention::projected(const Variable& heads) const {
  return nn::linear(autograd::view(heads, {heads.size(0), config_.token.heads_width()}), o_proj_);
}

void CrossAttention::finish(nn::ResidualStream& h, const Variable& projected) const {
  h.add(projected);
  if (mlp_) h.add(mlp_->forward(h.normalized(*mlp_norm_, config_.norm_epsilon, mlp_->input_dtype())));
}

nn::ResidualStream CrossAttention::forward(const Variable& h, const Variable& z,
                                           const Segmentation& segmentation, const Tensor& cu_seqlens,
                                           const Variable& p, CrossAttentionState* state) const {
  const Tensor key_begin =
      concept_ranges(segmentation, cu_seqlens, config_.cross_attention, h.dtype()).key_begin;
  const Variable k = keys(z, nn::positions_of(segmentation.cu_seqlens));
  const Variable v = values(z);
  nn::ResidualStream stream(h);
  const Variable q = queries(stream, concept_positions(segmentation, key_begin));
  Variable result = projected(attend(q, k, v, segmentation, cu_seqlens));
  if (config_.boundary.predictor == Predictor::learned) {
    result = autograd::straight_through(result, p, segmentation.boundary);
  }
  if (state != nullptr && segmentation.count > 0) {
    const int64_t complete = segmentation.count - 1;
    state->concepts.append(operand(k).value().slice(0, complete), operand(v).value().slice(0, complete));
    const int32_t* offsets = segmentation.offsets.data<int32_t>();
    for (int64_t i = 0; i < complete; ++i) {
      state->log_lengths.push_back(std::log(static_cast<float>(offsets[i + 1] - offsets[i])));
    }
  }
  finish(stream, result);
  return stream;
}

void CrossAttention::append(const Tensor& z, std::span<const int64_t> lengths,
                            std::span<CrossAttentionState* const> states) const {
  std::vector<int32_t> positions;
  for (const CrossAttentionState* state : states)
    positions.push_back(static_cast<int32_t>(state->concepts.length()));
  const Tensor k = operand(keys(Variable(z), Tensor::from(positions))).value();
  const Tensor v = operand(values(Variable(z))).value();
  for (size_t b = 0; b < states.size(); ++b) {
    const auto row = static_cast<int64_t>(b);
    states[b]->concepts.append(k.slice(row, row + 1), v.slice(row, row + 1));
    states[b]->log_lengths.push_back(std::log(static_cast<float>(lengths[b])));
  }
}

nn::ResidualStream CrossAttention::step(const Variable& h,
                                        std::span<const CrossAttentionState* const> states) const {
  std::vector<int32_t> positions;
  for (const CrossAttentionState* state : states)
    positions.push_back(static_cast<int32_t>(state->concepts.length()));
  nn::ResidualStream stream(h);
  const Tensor q = operand(queries(stream, Tensor::from(positions))).value();  // rounded as a pass does
  std::vector<const nn::KeyValueCache*> concepts;
  std::vector<const std::vector<float>*> biases;
  for (const CrossAttentionState* state : states) {
    concepts.push_back(&state->concepts);
    if (config_.cross_attention.weighting == Weighting::length) biases.push_back(&state->log_lengths);
  }
  finish(stream, projected(Variable(nn::attend_to_caches(ops::cast(q, DType::f32), concepts, biases))));
  return stream;
}

}  // namespace dlcm
