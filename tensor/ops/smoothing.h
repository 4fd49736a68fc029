// Smoothing of concepts (Eq. 11), causal, restarting at each document. z [M, D]; cu_seqlens [documents + 1]
// i32 counts concepts; all floating tensors of one dtype, f32 or f64.
//
//   blend:  y_k = (1 - g) z_k + g z_{k-1},  g = sigmoid(gate), gate [D]
//   ema:    y_k = P_k z_k + (1 - P_k) y_{k-1}, P [M] (H-Net, arXiv 2507.07955)
//
// and y_k = z_k for a document's first concept in both. cu_seqlens must begin with 0, increase and end with
// M; throws Error naming what breaks this.
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
