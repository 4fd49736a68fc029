#include "tensor/ops/softmax.h"

#include "autograd/ops.h"
#include "autograd/tape.h"

namespace dlcm::autograd {

Variable softmax(const Variable& x) {
  const Tensor y = ops::softmax(x.value());
  return record("softmax", {x}, y, {y}, [](const BackwardContext& context) {
    return std::vector<Tensor>{ops::softmax_backward(context.gradient(), context.saved(0))};
  });
}

}  // namespace dlcm::autograd
