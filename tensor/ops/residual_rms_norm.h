// An addition to the residual stream and the RMSNorm that reads it, in one pass:
//
//   sum = x + delta,   y = rms_norm(sum)   (rms_norm.h)
//
// x and delta have one shape [..., d], gain shape [d], all f32 or all f64. y is of `output`: the dtype of x,
// or bf16 of f32. Numerics: each result has the bits of the two operators one after the other.
#pragma once

#include "tensor/ops/rms_norm.h"

namespace dlcm::ops {

struct ResidualRmsNorm {
  Tensor sum;   // shape and dtype of x
  Tensor y;     // shape of x, dtype `output`
  Tensor rstd;  // [rows], for the backward pass
};
// `delta` may be undefined: then nothing is added, and `sum` is x itself.
ResidualRmsNorm residual_rms_norm(const Tensor& x, const Tensor& delta, const Tensor& gain, double epsilon,
                                  DType output);

// dx, the gradient of x and of delta alike, is d_sum plus that of rms_norm (rms_norm.h). d_sum may be
// undefined: zero. It is written over where the caller hands over the only handle.
RmsNormGradients residual_rms_norm_backward(Tensor&& d_sum, const Tensor& dy, const Tensor& sum,
                                            const Tensor& gain, const Tensor& rstd);

}  // namespace dlcm::ops
