#include "tensor/ops/swiglu.h"

#include "autograd/ops.h"
#include "autograd/tape.h"

namespace dlcm::autograd {

Variable swiglu(const Variable& gate, const Variable& up) {
  return swiglu(gate, up, gate.dtype());
}

Variable swiglu(const Variable& gate, const Variable& up, DType output) {
  return record("swiglu", {gate, up}, ops::swiglu(gate.value(), up.value(), output),
                {gate.value(), up.value()}, [](const BackwardContext& context) {
                  auto [dgate, dup] =
                      ops::swiglu_backward(context.gradient(), context.saved(0), context.saved(1));
                  return std::vector<Tensor>{dgate, dup};
                });
}

}  // namespace dlcm::autograd
