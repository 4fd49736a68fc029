#include "tensor/ops/elementwise.h"

#include "autograd/ops.h"
#include "autograd/tape.h"

namespace dlcm::autograd {

// The tape sums the gradient of a broadcast input over the dimensions that it lacks.

Variable add(const Variable& a, const Variable& b) {
  return record("add", {a, b}, ops::add(a.value(), b.value()), {}, [](const BackwardContext& context) {
    const Tensor dy = context.gradient();
    return std::vector<Tensor>{dy, dy};
  });
}

Variable multiply(const Variable& a, const Variable& b) {
  return record("multiply", {a, b}, ops::multiply(a.value(), b.value()), {a.value(), b.value()},
                [](const BackwardContext& context) {
                  const Tensor dy = context.gradient();
                  std::vector<Tensor> gradients(2);
                  if (context.needs(0)) gradients[0] = ops::multiply(dy, context.saved(1));
                  if (context.needs(1)) gradients[1] = ops::multiply(dy, context.saved(0));
                  return gradients;
                });
}

Variable scale(const Variable& x, double factor) {
  return record("scale", {x}, ops::scale(x.value(), factor), {}, [factor](const BackwardContext& context) {
    return std::vector<Tensor>{ops::scale(context.gradient(), factor)};
  });
}

Variable sum(const Variable& x) {
  const Tensor& value = x.value();
  return record("sum", {x}, Tensor::full({1}, ops::sum(value), value.dtype(), value.device()), {},
                [shape = x.shape()](const BackwardContext& context) {
                  const Tensor dy = context.gradient();
                  return std::vector<Tensor>{Tensor::full(shape, dy.item(), dy.dtype(), dy.device())};
                });
}

Variable view(const Variable& x, Shape shape) {
  return record("view", {x}, x.value().view(std::move(shape)), {},
                [shape = x.shape()](const BackwardContext& context) {
                  return std::vector<Tensor>{context.gradient().view(shape)};
                });
}

Variable weighted_sum(const Variable& x, const Tensor& weights) {
  const Tensor& value = x.value();
  return record("weighted_sum", {x},
                Tensor::full({1}, ops::weighted_sum(value, weights), value.dtype(), value.device()),
                {weights}, [](const BackwardContext& context) {
                  return std::vector<Tensor>{ops::scale(context.saved(0), context.gradient().item())};
                });
}

}  // namespace dlcm::autograd
