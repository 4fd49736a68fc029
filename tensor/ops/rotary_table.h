// Angles of the rotary position embedding (rms_norm_rotary.h): with f_i = base^(-2i/head_dim), the cosines
// and sines of p f_i for each position p.
#pragma once

#include "tensor/tensor.h"

namespace dlcm::ops {

// [T, head_dim] of `dtype`: the head_dim/2 cosines, then the sines, of each position. positions [T] i32.
// Angles are computed in float32 for tables of float32, as by transformers and most published code: at
// position 4,000 they are up to 1e-4 from the exact ones, and weights were trained with them. In float64 for
// tables of float64. Made once per batch and used by every layer.
Tensor rotary_table(const Tensor& positions, int64_t head_dim, double base, DType dtype);

}  // namespace dlcm::ops
