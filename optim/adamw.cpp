#include "optim/adamw.h"

#include <cmath>
#include <numeric>

#include "tensor/dispatch.h"
#include "tensor/ops/cast.h"
#include "tensor/ops/elementwise.h"
#include "tensor/parallel_arrays.h"
#include "tensor/profile.h"

namespace dlcm::optim {
namespace {

constexpr int64_t kGrain = 16384;

// Everything that is the same for all elements of a parameter.
struct Update {
  double beta1, beta2, correction1, correction2, rate, epsilon, decay, gradient_scale;
};

template <class T>
void update_elements(const Update& u, const Tensor& weight, const Tensor& gradient,
                     const AdamW::Moments& moments, int64_t begin, int64_t end) {
  const auto beta1 = static_cast<T>(u.beta1);
  const auto beta2 = static_cast<T>(u.beta2);
  const auto rate = static_cast<T>(u.rate / u.correction1);
  const auto root = static_cast<T>(1.0 / u.correction2);
  const auto epsilon = static_cast<T>(u.epsilon);
  const auto decay = static_cast<T>(u.decay);
  const auto scale = static_cast<T>(u.gradient_scale);
  T* w = weight.data<T>();
  const T* g = gradient.data<T>();
  T* m = moments.m.data<T>();
  T* v = moments.v.data<T>();
#pragma omp simd
  for (int64_t i = begin; i < end; ++i) {
    const T scaled = g[i] * scale;
    m[i] = beta1 * m[i] + (T{1} - beta1) * scaled;
    v[i] = beta2 * v[i] + (T{1} - beta2) * scaled * scaled;
    w[i] -= rate * m[i] / (std::sqrt(v[i] * root) + epsilon) + decay * w[i];
  }
}

// Elements [begin, end) of a parameter.
void update(const Update& u, const Tensor& weight, const Tensor& gradient, const AdamW::Moments& moments,
            int64_t begin, int64_t end) {
  DLCM_FLOATING(weight.dtype(), T, update_elements<T>(u, weight, gradient, moments, begin, end));
}

double base_rate(const nn::Role& role, const AdamWConfig& config) {
  switch (role.kind) {
    case nn::RoleKind::matrix:
      return role.fan_in == nn::Width::token ? config.rate_token : config.rate_concept;
    case nn::RoleKind::boundary:
      return config.rate_boundary;
    default:
      return config.rate_other;
  }
}

}  // namespace

GroupRates group_rates(const nn::Role& role, const AdamWConfig& config, const WidthMultipliers& multipliers) {
  const bool hidden = role.kind == nn::RoleKind::matrix || role.kind == nn::RoleKind::boundary;
  const double width = role.fan_in == nn::Width::token ? multipliers.token : multipliers.concepts;
  const double s = hidden ? width : 1.0;
  const double rate = base_rate(role, config);
  const double decay = role.kind == nn::RoleKind::vector ? 0.0 : rate * config.weight_decay;
  return {rate / s, config.epsilon / s, decay};
}

double global_gradient_norm(const std::vector<nn::Parameter*>& parameters) {
  std::vector<Tensor> gradients;
  for (const nn::Parameter* parameter : parameters) {
    if (parameter->grad().defined()) gradients.push_back(parameter->grad());
  }
  return std::sqrt(ops::sum_of_squares(gradients));
}

double clip_scale(double norm, double clip) {
  return norm > clip ? clip / norm : 1.0;
}

AdamW::AdamW(std::vector<nn::Parameter*> parameters, const AdamWConfig& config,
             const WidthMultipliers& multipliers)
    : parameters_(std::move(parameters)), config_(config) {
  for (const nn::Parameter* parameter : parameters_) {
    rates_.push_back(group_rates(parameter->role(), config, multipliers));
    moments_.push_back({parameter->value().zeros_like(), parameter->value().zeros_like()});
  }
}

void AdamW::step(int64_t step, double factor, double gradient_scale) {
  const double correction1 = 1.0 - std::pow(config_.beta1, static_cast<double>(step));
  const double correction2 = 1.0 - std::pow(config_.beta2, static_cast<double>(step));
  std::vector<int64_t> sizes;  // 0 of a parameter without a gradient
  for (const nn::Parameter* parameter : parameters_) {
    sizes.push_back(parameter->grad().defined() ? parameter->shape().numel() : 0);
  }
  const ProfileScope profile("adamw", 16, std::accumulate(sizes.begin(), sizes.end(), int64_t{0}));
  parallel_for_arrays(sizes, kGrain, [&](int64_t, size_t i, int64_t begin, int64_t end) {
    const GroupRates& rates = rates_[i];
    const Update u = {config_.beta1,
                      config_.beta2,
                      correction1,
                      correction2,
                      factor * rates.rate,
                      rates.epsilon,
                      factor * rates.decay_rate,
                      gradient_scale};
    const nn::Parameter& parameter = *parameters_[i];
    update(u, parameter.value(), parameter.grad(), moments_[i], begin, end);
    // The operand of matrix products follows its weight while that is in the cache.
    if (parameter.operand_dtype() == DType::bf16) {
      ops::round_elements(parameter.value().data<float>() + begin, end - begin,
                          parameter.operand().value().data<Bf16>() + begin);
    }
  });
}

}  // namespace dlcm::optim
