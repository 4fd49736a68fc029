#include "nn/linear.h"

#include "autograd/ops.h"

namespace dlcm::nn {

Variable linear(const Variable& x, const Parameter& weight) {
  if (weight.packed().defined()) return Variable(ops::linear(x.value(), weight.packed()));
  return autograd::linear(x, weight.operand());
}

}  // namespace dlcm::nn
