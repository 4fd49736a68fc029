// The gated activation of SwiGLU (Shazeer, arXiv 2002.05202): y = silu(gate) * up, silu(x) = x sigmoid(x).
// Elementwise; gate and up have one shape and dtype (f32 or f64). y is of `output`: their dtype (the
// default), or bf16 of f32, each element rounded once.
#pragma once

#include "tensor/tensor.h"

namespace dlcm::ops {

Tensor swiglu(const Tensor& gate, const Tensor& up, DType output);
inline Tensor swiglu(const Tensor& gate, const Tensor& up) {
  return swiglu(gate, up, gate.dtype());
}

// The gradients, and y once more in the same pass, for an operator that has not kept it, all of `output`.
// Where that is the arguments' dtype they are written over those of which the caller hands over the only
// handle: dgate over dy, dup over up, y over gate.
struct SwigluGradients {
  Tensor dgate;
  Tensor dup;
  Tensor y;
};
SwigluGradients swiglu_backward(Tensor&& dy, Tensor&& gate, Tensor&& up, DType output);

}  // namespace dlcm::ops
