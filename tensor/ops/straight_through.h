// The straight-through path of H-Net (arXiv 2507.07955) by which the loss reaches boundary probabilities: the
// value is that of x, as if multiplied by 1, and the gradient that of multiplying with the confidence of the
// decision taken,
//
//   y_t = x_t,   c_t = p_t where boundary_t else 1 - p_t,   dx_t = dy_t,   dp_t = +-(dy_t . x_t).
//
// x [T, d] f32 or f64, p [T] of its dtype, boundary [T] u8.
#pragma once

#include "tensor/tensor.h"

namespace dlcm::ops {

// dp [T]; the forward value is x itself and dx is dy.
Tensor straight_through_backward(const Tensor& dy, const Tensor& x, const Tensor& boundary);

}  // namespace dlcm::ops
