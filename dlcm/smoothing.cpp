#include "dlcm/smoothing.h"

#include <cmath>

#include "autograd/ops.h"
#include "tensor/ops/smoothing.h"

namespace dlcm {
namespace {

constexpr double kFirstBlend = 0.1;  // g at the start: nearly the concept itself

}  // namespace

ConceptSmoothing::ConceptSmoothing(nn::Module& parent, const std::string& name, const ModelConfig& config)
    : Module(parent, name), kind_(config.smoothing), width_(config.backbone.width) {
  if (kind_ == Smoothing::blend) {
    const double logit = std::log(kFirstBlend / (1 - kFirstBlend));
    gate_ = std::make_unique<nn::Parameter>(*this, "gate", Shape{width_}, nn::vector_role(logit));
  }
}

nn::Variable ConceptSmoothing::forward(const nn::Variable& z, const nn::Variable& p,
                                       const Tensor& cu_seqlens) const {
  switch (kind_) {
    case Smoothing::blend:
      return autograd::blend(z, gate_->variable(), cu_seqlens);
    case Smoothing::ema:
      return autograd::ema(z, p, cu_seqlens);
    case Smoothing::none:
      return z;
  }
  return z;
}

void ConceptSmoothing::step(float* z, float p, SmoothingState& state) const {
  const std::vector<float> own(z, z + width_);
  if (!state.previous.empty()) {
    if (kind_ == Smoothing::blend) {
      ops::blend_row(own.data(), state.previous.data(), gate_->value().data<float>(), width_, z);
    } else if (kind_ == Smoothing::ema) {
      ops::ema_row(own.data(), p, state.previous.data(), width_, z);
    }
  }
  state.previous = kind_ == Smoothing::ema ? std::vector<float>(z, z + width_) : own;
}

void ConceptSmoothing::remember(const Tensor& z, const Tensor& smoothed, int64_t row,
                                SmoothingState& state) const {
  state.previous = (kind_ == Smoothing::ema ? smoothed : z).slice(row, row + 1).to_vector<float>();
}

}  // namespace dlcm
