// Smoothing of concepts (Eq. 11), causal, restarting at each document. z [M, D]; cu_seqlens [documents + 1]
// i32 counts concepts; all floating tensors of one dtype, f32 or f64.
//
//   blend: y_k = (1 - g) z_k + g z_{k-1},  g = sigmoid(gate), gate [D]; a document's first concept stays as
//   it is. ema:   y_k = P_k z_k + (1 - P_k) y_{k-1} (H-Net, arXiv 2507.07955), P [M]; a document's first
//   concept stays as it is.
#pragma once

#include "tensor/tensor.h"

namespace dlcm::ops {

Tensor blend(const Tensor& z, const Tensor& gate, const Tensor& cu_seqlens);
struct BlendGradients {
  Tensor dz, dgate;
};
BlendGradients blend_backward(const Tensor& dy, const Tensor& z, const Tensor& gate,
                              const Tensor& cu_seqlens);
// One row of `blend` with its predecessor, and of `ema` with the smoothed predecessor, for generation: the
// same rule. D elements each, f32.
void blend_row(const float* z, const float* previous_z, const float* gate, int64_t d, float* y);

Tensor ema(const Tensor& z, const Tensor& p, const Tensor& cu_seqlens);
struct EmaGradients {
  Tensor dz, dp;
};
EmaGradients ema_backward(const Tensor& dy, const Tensor& z, const Tensor& p, const Tensor& y,
                          const Tensor& cu_seqlens);
void ema_row(const float* z, float p, const float* previous_y, int64_t d, float* y);

}  // namespace dlcm::ops
