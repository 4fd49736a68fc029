// Softmax over the last dimension: y_ri = exp(x_ri - max_j x_rj) / sum_j exp(x_rj - max).
//
// x has any shape [..., n], f32 or f64. -inf is a masked element and gives 0; a row that is all -inf gives
// all 0, never NaN (an empty set of keys attends to nothing). A row that holds NaN or +inf is all NaN.
// Throws Error where x has no dimensions or another dtype.
// Numerics: in the dtype of x, in an order that depends on n alone.
#pragma once

#include "tensor/tensor.h"

namespace dlcm::ops {

Tensor softmax(const Tensor& x);
//   dx_ri = y_ri (dy_ri - sum_j y_rj dy_rj)
Tensor softmax_backward(const Tensor& dy, const Tensor& y);

}  // namespace dlcm::ops
