#include "nn/linear.h"

#include "autograd/ops.h"
#include "tensor/ops/swiglu.h"

namespace dlcm::nn {

Variable linear(const Variable& x, const Parameter& weight) {
  if (weight.packed().defined()) return Variable(ops::linear(x.value(), weight.packed()));
  return autograd::linear(x, weight.operand());
}

Variable swiglu_linear(const Variable& gate, const Variable& up, const Parameter& weight) {
  if (weight.packed().defined()) {
    return Variable(
        ops::linear(ops::swiglu(gate.value(), up.value(), weight.operand_dtype()), weight.packed()));
  }
  return autograd::swiglu_linear(gate, up, weight.operand());
}

}  // namespace dlcm::nn
