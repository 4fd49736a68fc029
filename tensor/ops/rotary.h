// Rotary position embedding (Su et al., arXiv 2104.09864), halves rotated as in LLaMA's published
// checkpoints: with h = head_dim, f_i = base^(-2i/h), c = cos(p f_i), s = sin(p f_i) for i < h/2,
//
//   y[i] = x[i] c - x[i + h/2] s,   y[i + h/2] = x[i + h/2] c + x[i] s.
//
// x [T, heads, head_dim] f32 or f64, head_dim even.
#pragma once

#include "tensor/tensor.h"

namespace dlcm::ops {

// [T, head_dim] of `dtype`: the head_dim/2 cosines, then the sines, of each position. positions [T] i32.
// Angles are computed in float64. Made once per batch and used by every layer.
Tensor rotary_table(const Tensor& positions, int64_t head_dim, double base, DType dtype);

Tensor rotary(const Tensor& x, const Tensor& table);
// The rotation by the opposite angle.
Tensor rotary_backward(const Tensor& dy, const Tensor& table);

}  // namespace dlcm::ops
