// y[i] = x[index[i]]: repeat_interleave of concepts to tokens (Eq. 17), rows of a batch. x [M, ...] f32 or
// f64, index [T] i32 in [0, M), y [T, ...]. Throws Error naming the first bad index.
#pragma once

#include "tensor/tensor.h"

namespace dlcm::ops {

Tensor gather_rows(const Tensor& x, const Tensor& index);
// dx [rows, ...]: row m is the sum of dy[i] over i with index[i] = m, added in order of i.
Tensor gather_rows_backward(const Tensor& dy, const Tensor& index, int64_t rows);

}  // namespace dlcm::ops

namespace dlcm::cpu {

// The kernels, with indices already checked and the result preallocated; `embedding` is the same operation.
void gather_rows_forward(const Tensor& x, const Tensor& index, const Tensor& y);
void gather_rows_backward(const Tensor& dy, const Tensor& index, const Tensor& dx);

}  // namespace dlcm::cpu
