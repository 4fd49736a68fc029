// Probability that a token begins a concept (Eq. 5-6):
//
//   p_t = (1 - cos(q_{t-1}, k_t)) / 2,   p_t = 1 at each document's first token.
//
// q, k [T, d] f32 or f64 (f64 in checks); cu_seqlens [documents + 1] i32; p [T] in the dtype of q, computed
// by one function, boundary_probability_of, for training, prefill and single steps: near 0.5 a rounding
// difference would flip a boundary. cos is q.k / max(|q||k|, 1e-12), clamped to [-1, 1]; a zero vector has p
// = 1/2 and no gradient.
#pragma once

#include <cstdint>

#include "tensor/tensor.h"

namespace dlcm::ops {

// Of one pair of vectors of d elements; sums in a fixed order.
float boundary_probability_of(const float* previous_q, const float* k, int64_t d);
double boundary_probability_of(const double* previous_q, const double* k, int64_t d);

Tensor boundary_probability(const Tensor& q, const Tensor& k, const Tensor& cu_seqlens);

struct BoundaryProbabilityGradients {
  Tensor dq, dk;  // [T, d]; first tokens give no gradient, nor does q of a document's last token receive any
};
BoundaryProbabilityGradients boundary_probability_backward(const Tensor& dp, const Tensor& q, const Tensor& k,
                                                           const Tensor& cu_seqlens);

}  // namespace dlcm::ops
