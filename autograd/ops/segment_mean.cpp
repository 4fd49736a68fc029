#include "tensor/ops/segment_mean.h"

#include "autograd/ops.h"
#include "autograd/tape.h"

namespace dlcm::autograd {

Variable segment_mean(const Variable& x, const Tensor& offsets) {
  return record(
      "segment_mean", {x}, ops::segment_mean(x.value(), offsets), {offsets},
      [](const BackwardContext& context) {
        return std::vector<Tensor>{ops::segment_mean_backward(context.gradient(), context.saved(0))};
      });
}

}  // namespace dlcm::autograd
