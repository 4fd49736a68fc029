// RMSNorm over the last dimension (Zhang & Sennrich, arXiv 1910.07467; Eq. 16 of the paper for queries and
// keys):
//
//   rstd_r = 1 / sqrt(mean_i x_ri^2 + epsilon),   y_ri = x_ri rstd_r gain_i
//
// x has any shape [..., d], gain shape [d], both f32 or both f64. y is of `output`: the dtype of x (the
// default), or bf16 of an x of f32, each element rounded once (no CUDA kernel). rstd [rows] is kept for the
// backward pass. Numerics: sums in the dtype of x, in a fixed order that depends on d alone. Gradients have
// the dtype of x.
#pragma once

#include "tensor/tensor.h"

namespace dlcm::ops {

struct RmsNorm {
  Tensor y;     // shape of x, dtype `output`
  Tensor rstd;  // [rows]
};
// Throws Error where gain does not have as many elements as the rows of x, or `output` is another dtype.
RmsNorm rms_norm(const Tensor& x, const Tensor& gain, double epsilon, DType output);
inline RmsNorm rms_norm(const Tensor& x, const Tensor& gain, double epsilon) {
  return rms_norm(x, gain, epsilon, x.dtype());
}

// y again, the same bits, from rstd.
Tensor rms_norm_again(const Tensor& x, const Tensor& gain, const Tensor& rstd, DType output);

//   dx_ri = rstd_r (gain_i dy_ri - x_ri rstd_r^2 mean_j(gain_j dy_rj x_rj)),   dgain_i = sum_r dy_ri x_ri
//   rstd_r
struct RmsNormGradients {
  Tensor dx;     // shape of x
  Tensor dgain;  // [d]
};
RmsNormGradients rms_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& gain, const Tensor& rstd);

}  // namespace dlcm::ops

namespace dlcm::cuda {
// In rms_norm.cu (f32); results are preallocated.
void rms_norm_forward(const Tensor& x, const Tensor& gain, double epsilon, const Tensor& y,
                      const Tensor& rstd);
void rms_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& gain, const Tensor& rstd,
                       const Tensor& dx, const Tensor& dgain);
}  // namespace dlcm::cuda
