#include "dlcm/boundary.h"

#include <cmath>

#include "autograd/ops.h"
#include "autograd/tape.h"
#include "dlcm/not_finite.h"
#include "nn/sequence_layout.h"
#include "tensor/ops/boundary_probability.h"
#include "tensor/ops/matmul.h"
#include "tensor/random.h"

namespace dlcm {
namespace {

// Every R-th token, for any R: where the whole number of segments before the token grows.
bool begins_fixed_segment(int64_t position, double tokens_per_concept) {
  if (position == 0) return true;
  return std::floor(static_cast<double>(position) / tokens_per_concept) !=
         std::floor(static_cast<double>(position - 1) / tokens_per_concept);
}

}  // namespace

float sharpened(float p, double alpha) {
  if (p <= 0.0f) return 0.0f;
  if (p >= 1.0f) return 1.0f;
  const float logit = std::log(p) - std::log1p(-p);
  return 1.0f / (1.0f + std::exp(-logit / static_cast<float>(alpha)));
}

BoundaryPredictor::BoundaryPredictor(nn::Module& parent, const std::string& name, const ModelConfig& config)
    : Module(parent, name), config_(config) {
  if (!trainable()) return;
  const Shape shape = {config.token.width, config.token.width};
  q_proj_ = std::make_unique<nn::Parameter>(*this, "q_proj", shape, nn::boundary_role());
  k_proj_ = std::make_unique<nn::Parameter>(*this, "k_proj", shape, nn::boundary_role());
}

bool BoundaryPredictor::trainable() const {
  return predictor() == Predictor::decoupled || predictor() == Predictor::learned;
}

std::vector<nn::Parameter*> BoundaryPredictor::projections() const {
  return trainable() ? std::vector<nn::Parameter*>{q_proj_.get(), k_proj_.get()}
                     : std::vector<nn::Parameter*>{};
}

nn::Variable BoundaryPredictor::probability(const nn::Variable& h, const Tensor& cu_seqlens) const {
  if (trainable()) {
    const nn::Variable seen = predictor() == Predictor::learned ? h : h.detach();
    return autograd::boundary_probability(autograd::linear(seen, q_proj_->variable()),
                                          autograd::linear(seen, k_proj_->variable()), cu_seqlens);
  }
  if (predictor() == Predictor::cosine) {
    return nn::Variable(ops::boundary_probability(h.value(), h.value(), cu_seqlens));
  }
  const Tensor positions = nn::positions_of(cu_seqlens);
  std::vector<double> p;
  for (const int32_t position : positions.to_vector<int32_t>())
    p.push_back(probability_of(nullptr, nullptr, position));
  return nn::Variable(Tensor::from(p).to(h.dtype()));
}

bool BoundaryPredictor::decide_one(float p, int64_t token) const {
  // Every comparison with NaN is false: without this the text would silently be one concept.
  if (!std::isfinite(p)) {
    throw NotFiniteError(concat(
        "boundary probability of token ", token,
        " is not finite; the parameters are damaged or training has diverged: use an earlier checkpoint"));
  }
  // The rule of section 8.1 of the paper is strict.
  return predictor() == Predictor::cosine ? p > static_cast<float>(config_.boundary.tau) : p >= 0.5f;
}

Tensor BoundaryPredictor::decide(const Tensor& p, const Tensor& cu_seqlens, const BoundaryDraw& draw) const {
  const Tensor p32 = p.to(DType::f32);
  const int32_t* offsets = cu_seqlens.data<int32_t>();
  const bool sampled = draw.mode == Mode::train && trainable();
  Tensor boundary = Tensor::zeros(p.shape(), DType::u8);
  for (int64_t document = 0; document + 1 < cu_seqlens.numel(); ++document) {
    for (int32_t t = offsets[document]; t < offsets[document + 1]; ++t) {
      const auto position = static_cast<uint64_t>(t - offsets[document]);
      const float probability = p32.data<float>()[t];
      bool begins = decide_one(probability, t);
      if (sampled) {
        const auto sample = static_cast<uint64_t>(draw.samples.data<int64_t>()[document]);
        begins = random_uniform(draw.seed, RandomStream::boundaries, sample, position) <
                 sharpened(probability, draw.alpha);
      }
      boundary.data<uint8_t>()[t] = begins || position == 0 ? 1 : 0;
    }
  }
  return boundary;
}

Tensor BoundaryPredictor::memory(const Tensor& h) const {
  if (trainable()) return ops::linear(h, q_proj_->value());
  return predictor() == Predictor::cosine ? h : Tensor();
}

Tensor BoundaryPredictor::probe(const Tensor& h) const {
  if (trainable()) return ops::linear(h, k_proj_->value());
  return predictor() == Predictor::cosine ? h : Tensor();
}

float BoundaryPredictor::probability_of(const float* memory, const float* probe, int64_t position) const {
  if (predictor() == Predictor::none) return 1.0f;
  if (predictor() == Predictor::fixed) {
    return begins_fixed_segment(position, config_.boundary.tokens_per_concept) ? 1.0f : 0.0f;
  }
  return ops::boundary_probability_of(memory, probe, config_.token.width);
}

}  // namespace dlcm
