// Where concepts begin (section 3; Eq. 5-6). Probabilities p from the encoder's states, decisions b from p.
#pragma once

#include <memory>

#include "dlcm/config.h"
#include "nn/module.h"

namespace dlcm {

enum class Mode { train, evaluate };

// How decisions are drawn: in training b ~ Bernoulli(sigmoid(logit(p) / alpha)), keyed on (seed, sample,
// position); otherwise b = [p >= 0.5].
struct BoundaryDraw {
  Mode mode = Mode::evaluate;
  double alpha = 1.0;
  uint64_t seed = 0;
  Tensor samples;  // [documents] i64; only for training
};

class BoundaryPredictor : public nn::Module {
 public:
  BoundaryPredictor(nn::Module& parent, const std::string& name, const ModelConfig& config);

  // p [T], 1 at each document's first token; h [T, d]. A gradient reaches W_q and W_k for `decoupled`, and h
  // too for `learned`; none for the others.
  nn::Variable probability(const nn::Variable& h, const Tensor& cu_seqlens) const;
  // b [T] u8, 1 at each document's first token. Throws NotFiniteError where a p is not finite.
  Tensor decide(const Tensor& p, const Tensor& cu_seqlens, const BoundaryDraw& draw) const;

  // Token by token. What a token leaves behind for the next one, [B, d]: its query W_q h, or h itself for
  // `cosine`; undefined for predictors that look at positions alone.
  Tensor memory(const Tensor& h) const;
  // What `memory` of the previous token is compared with: W_k h, or h.
  Tensor probe(const Tensor& h) const;
  // p of the token at `position` > 0 of its document, from rows of d elements (null where memory is
  // undefined).
  float probability_of(const float* memory, const float* probe, int64_t position) const;
  // Whether p begins a concept. Throws NotFiniteError that names the token where p is not finite.
  bool decide_one(float p, int64_t token) const;

  // Whether the auxiliary loss trains anything.
  bool trainable() const;
  Predictor predictor() const { return config_.boundary.predictor; }
  // W_q and W_k; empty for the predictors without.
  std::vector<nn::Parameter*> projections() const;

 private:
  ModelConfig config_;
  std::unique_ptr<nn::Parameter> q_proj_, k_proj_;
};

// sigmoid(logit(p) / alpha) in float32: p sharpened towards 0 or 1 as alpha falls.
float sharpened(float p, double alpha);

}  // namespace dlcm
