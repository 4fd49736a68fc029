#include "tensor/ops/rms_norm.h"

#include "autograd/ops.h"
#include "autograd/tape.h"

namespace dlcm::autograd {

Variable rms_norm(const Variable& x, const Variable& gain, double epsilon) {
  return rms_norm(x, gain, epsilon, x.dtype());
}

Variable rms_norm(const Variable& x, const Variable& gain, double epsilon, DType output) {
  auto [y, rstd] = ops::rms_norm(x.value(), gain.value(), epsilon, output);
  const Variable result =
      record("rms_norm", {x, gain}, y, {x.value(), gain.value(), rstd}, [](const BackwardContext& context) {
        auto [dx, dgain] =
            ops::rms_norm_backward(context.gradient(), context.saved(0), context.saved(1), context.saved(2));
        return std::vector<Tensor>{dx, dgain};
      });
  return result.with_recipe([x = x.value(), gain = gain.value(), rstd = rstd, output] {
    return ops::rms_norm_again(x, gain, rstd, output);
  });
}

}  // namespace dlcm::autograd
