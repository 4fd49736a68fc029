#include "autograd/ops.h"
#include "autograd/tape.h"
#include "tensor/ops/cast.h"
#include "tensor/ops/matmul.h"

namespace dlcm::autograd {

Variable linear(const Variable& x, const Variable& weight) {
  // For a bf16 weight x is rounded here, once for both products that read it, and kept at half the size.
  const Tensor input = weight.dtype() == DType::bf16 ? ops::cast(x.value(), DType::bf16) : x.value();
  return record("linear", {x, weight}, ops::linear(input, weight.value()), {input, weight.value()},
                [](const BackwardContext& context) {
                  const Tensor dy = context.gradient();
                  std::vector<Tensor> gradients(2);
                  if (context.needs(0)) gradients[0] = ops::linear_backward_input(dy, context.saved(1));
                  if (context.needs(1)) gradients[1] = ops::linear_backward_weight(dy, context.saved(0));
                  return gradients;
                });
}

}  // namespace dlcm::autograd
