#include "tensor/ops/rms_norm_rotary.h"

#include "autograd/ops.h"
#include "autograd/tape.h"

namespace dlcm::autograd {

Variable rms_norm_rotary(const Variable& x, const Variable& gain, double epsilon, const Tensor& table) {
  return rms_norm_rotary(x, gain, epsilon, table, x.dtype());
}

Variable rms_norm_rotary(const Variable& x, const Variable& gain, double epsilon, const Tensor& table,
                         DType output) {
  const auto forward = [x = x.value(), gain = gain.value(), epsilon, table, output] {
    return ops::rms_norm_rotary(x, gain, epsilon, table, output);
  };
  const Variable result =
      record("rms_norm_rotary", {x, gain}, forward(), {x.value(), gain.value(), table},
             [epsilon](const BackwardContext& context) {
               auto [dx, dgain] = ops::rms_norm_rotary_backward(context.take_gradient(), context.saved(0),
                                                                context.saved(1), epsilon, context.saved(2));
               return std::vector<Tensor>{dx, dgain};
             });
  return result.with_recipe(forward);
}

}  // namespace dlcm::autograd
