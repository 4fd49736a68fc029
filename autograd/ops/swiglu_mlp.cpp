#include "autograd/ops.h"
#include "autograd/ops/linear_gradients.h"
#include "tensor/ops/cast.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/swiglu.h"

namespace dlcm::autograd {
namespace {

// Inputs, and likewise what is saved first: x, the weights of gate, up and down; then gate and up.
enum Index : size_t { kX, kGateWeight, kUpWeight, kDownWeight, kGate, kUp };

std::vector<Tensor> backward(const BackwardContext& context, DType operand) {
  const Tensor dy = context.gradient();
  ops::SwigluGradients inner =
      ops::swiglu_backward(ops::linear_backward_input(dy, context.saved(kDownWeight)),
                           context.take_saved(kGate), context.take_saved(kUp), operand);
  std::vector<Tensor> gradients(4);
  gradients[kDownWeight] = linear_weight_gradient(context, kDownWeight, dy, inner.y);
  inner.y = Tensor();
  const Tensor& x = context.saved(kX);
  gradients[kGateWeight] = linear_weight_gradient(context, kGateWeight, inner.dgate, x);
  gradients[kUpWeight] = linear_weight_gradient(context, kUpWeight, inner.dup, x);
  gradients[kX] = linear_input_gradient(context, kX, inner.dgate, context.saved(kGateWeight));
  add_linear_input_gradient(context, kX, inner.dup, context.saved(kUpWeight), gradients[kX]);
  return gradients;
}

}  // namespace

Variable swiglu_mlp(const Variable& x, const Variable& gate_weight, const Variable& up_weight,
                    const Variable& down_weight) {
  const DType operand = down_weight.dtype();
  const Tensor input = operand == DType::bf16 ? ops::cast(x.value(), operand) : x.value();
  const Tensor gate = ops::linear(input, gate_weight.value()), up = ops::linear(input, up_weight.value());
  const Tensor y = ops::linear(ops::swiglu(gate, up, operand), down_weight.value());
  return record("swiglu_mlp", {x, gate_weight, up_weight, down_weight}, y,
                {input, gate_weight.value(), up_weight.value(), down_weight.value(), gate, up},
                [operand](const BackwardContext& context) { return backward(context, operand); });
}

}  // namespace dlcm::autograd
