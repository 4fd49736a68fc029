// Projection to the vocabulary and cross-entropy in one operator, by chunks of rows, so that the [T, V]
// logits are never in memory at once:
//
//   logits_t = logit_scale x_t W^T (Eq. 21),   loss_t = log sum_v exp(logits_tv) - logits_t[target_t]
//
// x [T, d], weight [V, d], both f32 or both f64, or the weight alone bf16: its products are then those of x
// and of the logits' gradients rounded to it; targets [T] i32, -1 where nothing is to be predicted (loss
// 0, no gradient). Throws Error naming position, target and V where a target is outside [-1, V).
#pragma once

#include "tensor/tensor.h"

namespace dlcm::ops {

struct LinearCrossEntropy {
  Tensor loss;     // [T], dtype of x; 0 where the target is -1
  double sum = 0;  // of all losses, accumulated in float64
  Tensor dx;       // gradient of the sum: [T, d]; undefined unless asked for
  Tensor dweight;  // [V, d]; likewise
};

enum class WithGradients { no, yes };

// Gradients are computed together with the loss, while a chunk of logits is at hand; backward only scales
// them.
LinearCrossEntropy linear_cross_entropy(const Tensor& x, const Tensor& weight, const Tensor& targets,
                                        double logit_scale, WithGradients gradients);

}  // namespace dlcm::ops
