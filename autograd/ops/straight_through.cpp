#include "tensor/ops/straight_through.h"

#include "autograd/ops.h"
#include "autograd/tape.h"

namespace dlcm::autograd {

Variable straight_through(const Variable& x, const Variable& p, const Tensor& boundary) {
  const Tensor& value = x.value();
  DLCM_CHECK(
      value.rank() == 2 && p.value().rank() == 1 && p.size(0) == value.size(0) && p.dtype() == value.dtype(),
      "straight_through: x has shape ", x.shape(), " of ", x.dtype(), ", p ", p.shape(), " of ", p.dtype(),
      "; expected [T, d] and [T]");
  return record("straight_through", {x, p}, value, {value, boundary}, [](const BackwardContext& context) {
    const Tensor dy = context.gradient();
    return std::vector<Tensor>{dy, ops::straight_through_backward(dy, context.saved(0), context.saved(1))};
  });
}

}  // namespace dlcm::autograd
