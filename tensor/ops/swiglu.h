// The gated activation of SwiGLU (Shazeer, arXiv 2002.05202): y = silu(gate) * up, silu(x) = x sigmoid(x).
// Elementwise; gate and up have one shape and dtype (f32 or f64). y is of `output`: their dtype (the
// default), or bf16 of f32, each element rounded once. Gradients have the dtype of gate and up.
#pragma once

#include "tensor/tensor.h"

namespace dlcm::ops {

Tensor swiglu(const Tensor& gate, const Tensor& up, DType output);
inline Tensor swiglu(const Tensor& gate, const Tensor& up) {
  return swiglu(gate, up, gate.dtype());
}

struct SwigluGradients {
  Tensor dgate;
  Tensor dup;
};
SwigluGradients swiglu_backward(const Tensor& dy, const Tensor& gate, const Tensor& up);

}  // namespace dlcm::ops
