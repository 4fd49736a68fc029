// The same elements in another floating dtype: f32 to bf16 rounds to nearest, ties to even; bf16 to f32 is
// exact.
#pragma once

#include "tensor/tensor.h"

namespace dlcm::ops {

// x itself where nothing changes.
Tensor cast(const Tensor& x, DType dtype);
// Into a tensor of the same shape. Throws Error unless both are f32 or bf16.
void cast_into(const Tensor& x, const Tensor& result);

// In the calling thread and in the processor's memory.
void round_elements(const float* from, int64_t count, Bf16* to);

}  // namespace dlcm::ops
