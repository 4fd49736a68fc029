// AdamW (Loshchilov & Hutter, arXiv 1711.05101) under decoupled muP (Eq. 18-20): one group per parameter
// role.
//
//   m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g^2,  mhat = m / (1 - beta1^n), vhat = v / (1 -
//   beta2^n) w -= factor (rate / s) mhat / (sqrt(vhat) + epsilon / s) + factor rate weight_decay w
//
// s is the width multiplier of a hidden matrix (that of its fan-in), 1 for embeddings, the unembedding, gains
// and gates. The decay term has no 1/s, so that rate x decay does not depend on width; vectors are not
// decayed. All arithmetic is float32 (float64 for float64 parameters), the moments too.
#pragma once

#include <string>
#include <vector>

#include "nn/module.h"

namespace dlcm::optim {

struct AdamWConfig {
  double rate_token = 3e-3;     // hidden matrices fed by the token width
  double rate_concept = 3e-3;   // hidden matrices fed by the concept width
  double rate_other = 3e-3;     // embedding, unembedding, gains, gate
  double rate_boundary = 1e-3;  // W_q and W_k of the boundaries: they overshoot at higher rates
  double beta1 = 0.9;
  double beta2 = 0.95;
  double epsilon = 1e-8;
  double weight_decay = 0.1;
  double clip = 1.0;  // largest global norm of the gradient
};

// s of Eq. 18 for each width; 1 without muP.
struct WidthMultipliers {
  double token = 1.0;
  double concepts = 1.0;
};

// What one parameter is updated with, before the schedule's factor.
struct GroupRates {
  double rate = 0;        // multiplies the Adam direction: base rate / s
  double epsilon = 0;     // epsilon / s
  double decay_rate = 0;  // base rate x weight decay; 0 for vectors
};
GroupRates group_rates(const nn::Role& role, const AdamWConfig& config, const WidthMultipliers& multipliers);

// Norm over all gradients; parameters without a gradient count as 0. Float64 accumulation in a fixed order.
double global_gradient_norm(const std::vector<nn::Parameter*>& parameters);
// min(1, clip / norm): what gradients are multiplied with.
double clip_scale(double norm, double clip);

class AdamW {
 public:
  struct Moments {
    Tensor m, v;
  };

  AdamW(std::vector<nn::Parameter*> parameters, const AdamWConfig& config,
        const WidthMultipliers& multipliers);

  // Updates every parameter that has a gradient, in one pass over its elements. `step` counts from 1;
  // gradients are multiplied with `gradient_scale` on the way. Operands in bf16 follow their values.
  void step(int64_t step, double factor, double gradient_scale);

  // Moments in the order of the parameters; zeros before the first step. Those of a checkpoint are read into
  // them.
  const std::vector<Moments>& moments() const { return moments_; }
  const std::vector<nn::Parameter*>& parameters() const { return parameters_; }

 private:
  std::vector<nn::Parameter*> parameters_;
  std::vector<GroupRates> rates_;
  std::vector<Moments> moments_;
  AdamWConfig config_;
};

}  // namespace dlcm::optim
