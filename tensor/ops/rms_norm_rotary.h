// RMSNorm of each head and the rotation by its position, in one pass: what queries and keys go through (Eq.
// 16). Rotary position embedding (Su et al., arXiv 2104.09864), halves rotated as in LLaMA's published
// checkpoints:
//
//   n = rms_norm(x)   (rms_norm.h)
//   y[i] = n[i] c - n[i + h/2] s,   y[i + h/2] = n[i + h/2] c + n[i] s   for i < h/2, h = head_dim
//
// x [T, heads, head_dim], gain [head_dim], table [T, head_dim] of c and s (rotary_table.h), all f32 or all
// f64. y is of `output`: the dtype of x, or bf16 of f32, each element rounded once. Numerics: as rms_norm.
#pragma once

#include "tensor/ops/rms_norm.h"

namespace dlcm::ops {

Tensor rms_norm_rotary(const Tensor& x, const Tensor& gain, double epsilon, const Tensor& table,
                       DType output);

// dy rotated back, then the gradients of rms_norm; rstd is computed again. dy is written over where the
// caller hands over the only handle.
RmsNormGradients rms_norm_rotary_backward(Tensor&& dy, const Tensor& x, const Tensor& gain, double epsilon,
                                          const Tensor& table);

}  // namespace dlcm::ops
