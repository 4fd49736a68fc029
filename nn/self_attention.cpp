#include "nn/self_attention.h"

#include <cmath>

#include "autograd/ops.h"
#include "nn/linear.h"
#include "tensor/ops/cast.h"

namespace dlcm::nn {
namespace {

double residual_scale(const BlockConfig& config) {
  return 1.0 / std::sqrt(2.0 * static_cast<double>(config.layers));
}

}  // namespace

SelfAttention::SelfAttention(Module& parent, const std::string& name, const BlockConfig& config)
    : Module(parent, name),
      config_(config),
      q_proj_(*this, "q_proj", {config.heads_width(), config.width}, matrix_role(config.fan_in)),
      k_proj_(*this, "k_proj", {config.kv_heads * config.head_dim(), config.width},
              matrix_role(config.fan_in)),
      v_proj_(*this, "v_proj", {config.kv_heads * config.head_dim(), config.width},
              matrix_role(config.fan_in)),
      o_proj_(*this, "o_proj", {config.width, config.heads_width()},
              matrix_role(config.fan_in, residual_scale(config))),
      q_norm_(*this, "q_norm", {config.head_dim()}, vector_role(1.0)),
      k_norm_(*this, "k_norm", {config.head_dim()}, vector_role(1.0)) {}

SelfAttention::Projected SelfAttention::project(const Variable& x, const Tensor& rotary) const {
  const int64_t rows = x.size(0);
  const std::vector<Variable> projected = linear_many(x, {&q_proj_, &k_proj_, &v_proj_});
  const auto heads_of = [&](const Variable& projection, int64_t heads) {
    return autograd::view(projection, {rows, heads, config_.head_dim()});
  };
  Projected result;  // attention multiplies in the dtype of the projections
  const auto normalized = [&](const Variable& heads, const Parameter& gain) {
    return autograd::rms_norm_rotary(heads, gain.variable(), config_.norm_epsilon, rotary, input_dtype());
  };
  result.q = normalized(heads_of(projected[0], config_.heads), q_norm_);
  result.k = normalized(heads_of(projected[1], config_.kv_heads), k_norm_);
  result.v = autograd::cast(heads_of(projected[2], config_.kv_heads), input_dtype());
  return result;
}

Variable SelfAttention::output(const Variable& heads) const {
  return linear(autograd::view(heads, {heads.size(0), config_.heads_width()}), o_proj_);
}

Variable SelfAttention::forward(const Variable& x, const SequenceLayout& layout, KeyValueCache* cache) const {
  const Projected projected = project(x, layout.rotary);
  if (cache != nullptr) cache->append(projected.k.value(), projected.v.value());
  return output(
      autograd::attention(projected.q, projected.k, projected.v, layout.causal, o_proj_.operand_dtype()));
}

Variable SelfAttention::step(const Variable& x, const Tensor& rotary,
                             std::span<KeyValueCache* const> caches) const {
  const Projected projected = project(x, rotary);
  for (int64_t b = 0; b < x.size(0); ++b) {
    caches[static_cast<size_t>(b)]->append(projected.k.value().slice(b, b + 1),
                                           projected.v.value().slice(b, b + 1));
  }
  const std::vector<const KeyValueCache*> rows(caches.begin(), caches.end());
  return output(Variable(attend_to_caches(ops::cast(projected.q.value(), DType::f32), rows)));
}

}  // namespace dlcm::nn
