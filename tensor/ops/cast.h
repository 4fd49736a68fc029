// The same elements in another floating dtype: f32 to bf16 rounds to nearest, ties to even; bf16 to f32 is
// exact.
#pragma once

#include "tensor/tensor.h"

namespace dlcm::ops {

// x itself where nothing changes.
Tensor cast(const Tensor& x, DType dtype);
// Into a tensor of the same shape. Throws Error unless both are f32 or bf16.
void cast_into(const Tensor& x, const Tensor& result);

}  // namespace dlcm::ops
