#include "autograd/ops.h"
#include "autograd/ops/linear_gradients.h"
#include "tensor/ops/cast.h"
#include "tensor/ops/matmul.h"

namespace dlcm::autograd {
namespace {

using ops::Transpose;

// Leading dimensions are rows.
Tensor as_rows(const Tensor& x) {
  return x.size(-1) == 0 ? x : x.view({x.numel() / x.size(-1), x.size(-1)});
}

}  // namespace

Tensor linear_input_gradient(const BackwardContext& context, size_t index, const Tensor& dy,
                             const Tensor& weight) {
  if (!context.needs(index)) return Tensor();
  const Tensor sum = context.gathered(index);
  if (!sum.defined()) return ops::linear_backward_input(dy, weight);
  ops::matmul_into(as_rows(dy), Transpose::no, weight, Transpose::no, as_rows(sum), true);
  return Tensor();
}

void add_linear_input_gradient(const BackwardContext& context, size_t index, const Tensor& dy,
                               const Tensor& weight, const Tensor& sum) {
  if (!context.needs(index)) return;
  const Tensor place = sum.defined() ? sum : context.gathered(index);
  ops::matmul_into(as_rows(dy), Transpose::no, weight, Transpose::no, as_rows(place), true);
}

Tensor linear_weight_gradient(const BackwardContext& context, size_t index, const Tensor& dy,
                              const Tensor& x) {
  if (!context.needs(index)) return Tensor();
  const Tensor sum = context.gathered(index);
  if (!sum.defined()) return ops::linear_backward_weight(dy, x);
  ops::matmul_into(as_rows(dy), Transpose::yes, as_rows(x), Transpose::no, sum, true);
  return Tensor();
}

Variable linear(const Variable& x, const Variable& weight) {
  // For a bf16 weight x is rounded here, once for both products that read it, and kept at half the size.
  const Tensor input = weight.dtype() == DType::bf16 ? ops::cast(x.value(), DType::bf16) : x.value();
  return record("linear", {x, weight}, ops::linear(input, weight.value()), {input, weight.value()},
                [](const BackwardContext& context) {
                  const Tensor dy = context.gradient();
                  return std::vector<Tensor>{linear_input_gradient(context, 0, dy, context.saved(1)),
                                             linear_weight_gradient(context, 1, dy, context.saved(0))};
                });
}

}  // namespace dlcm::autograd
