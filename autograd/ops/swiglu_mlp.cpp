#include "autograd/ops.h"
#include "autograd/ops/linear_gradients.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/swiglu.h"

namespace dlcm::autograd {

Variable swiglu_linear(const Variable& gate, const Variable& up, const Variable& weight) {
  const DType operand = weight.dtype() == DType::bf16 ? DType::bf16 : gate.dtype();
  const Tensor hidden = ops::swiglu(gate.value(), up.value(), operand);
  return record("swiglu_linear", {gate, up, weight}, ops::linear(hidden, weight.value()),
                {gate.value(), up.value(), weight.value()}, [operand](const BackwardContext& context) {
                  const Tensor dy = context.gradient();
                  auto [dgate, dup, y] =
                      ops::swiglu_backward(ops::linear_backward_input(dy, context.saved(2)),
                                           context.take_saved(0), context.take_saved(1), operand);
                  return std::vector<Tensor>{dgate, dup, linear_weight_gradient(context, 2, dy, y)};
                });
}

}  // namespace dlcm::autograd
