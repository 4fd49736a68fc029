#include "tensor/ops/residual_rms_norm.h"

#include "autograd/ops.h"
#include "autograd/tape.h"

namespace dlcm::autograd {

ResidualRmsNorm residual_rms_norm(const Variable& x, const Variable& delta, const Variable& gain,
                                  double epsilon) {
  return residual_rms_norm(x, delta, gain, epsilon, x.dtype());
}

ResidualRmsNorm residual_rms_norm(const Variable& x, const Variable& delta, const Variable& gain,
                                  double epsilon, DType output) {
  const bool adds = delta.defined();
  auto [sum, y, rstd] =
      ops::residual_rms_norm(x.value(), adds ? delta.value() : Tensor(), gain.value(), epsilon, output);
  std::vector<Variable> inputs = {x, gain};
  if (adds) inputs.push_back(delta);
  const std::vector<Variable> results =
      record_many("residual_rms_norm", inputs, {sum, y}, {sum, gain.value(), rstd},
                  [adds](const BackwardContext& context) {
                    auto [dx, dgain] =
                        ops::residual_rms_norm_backward(context.take_gradient(0), context.gradient(1),
                                                        context.saved(0), context.saved(1), context.saved(2));
                    return adds ? std::vector<Tensor>{dx, dgain, dx} : std::vector<Tensor>{dx, dgain};
                  });
  const auto again = [sum = sum, gain = gain.value(), rstd = rstd, output] {
    return ops::rms_norm_again(sum, gain, rstd, output);
  };
  return {results[0], results[1].with_recipe(again)};
}

}  // namespace dlcm::autograd
