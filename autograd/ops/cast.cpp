#include "tensor/ops/cast.h"

#include "autograd/ops.h"
#include "autograd/tape.h"

namespace dlcm::autograd {

Variable cast(const Variable& x, DType dtype) {
  if (x.dtype() == dtype) return x;
  // Gradients of both are float32: rounding is differentiated as if it did nothing.
  return record("cast", {x}, ops::cast(x.value(), dtype), {},
                [](const BackwardContext& context) { return std::vector<Tensor>{context.gradient()}; });
}

}  // namespace dlcm::autograd
