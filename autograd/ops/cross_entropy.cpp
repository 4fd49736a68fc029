#include "tensor/ops/cross_entropy.h"

#include "autograd/ops.h"
#include "autograd/tape.h"
#include "tensor/ops/elementwise.h"

namespace dlcm::autograd {

Variable linear_cross_entropy(const Variable& x, const Variable& weight, const Tensor& targets,
                              double logit_scale, Tensor* token_loss) {
  const bool needed = Tape::active() != nullptr && (x.requires_grad() || weight.requires_grad());
  const auto [loss, sum, dx, dweight] =
      ops::linear_cross_entropy(x.value(), weight.value(), targets, logit_scale,
                                needed ? ops::WithGradients::yes : ops::WithGradients::no);
  if (token_loss != nullptr) *token_loss = loss;
  return record("linear_cross_entropy", {x, weight}, Tensor::full({1}, sum, x.dtype()), {dx, dweight},
                [](const BackwardContext& context) {
                  std::vector<Tensor> gradients = {context.saved(0), context.saved(1)};
                  const double upstream = context.gradient().item();
                  for (size_t i = 0; i < gradients.size(); ++i) {
                    // In place: the node alone holds them, and it runs once.
                    if (context.needs(i) && upstream != 1.0) ops::scale_into(gradients[i], upstream);
                  }
                  return gradients;
                });
}

}  // namespace dlcm::autograd
