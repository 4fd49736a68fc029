#include "tensor/ops/rotary.h"

#include "autograd/ops.h"
#include "autograd/tape.h"

namespace dlcm::autograd {

Variable rotary(const Variable& x, const Tensor& table) {
  return record("rotary", {x}, ops::rotary(x.value(), table), {table}, [](const BackwardContext& context) {
    return std::vector<Tensor>{ops::rotary_backward(context.gradient(), context.saved(0))};
  });
}

}  // namespace dlcm::autograd
