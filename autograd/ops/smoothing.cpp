#include "tensor/ops/smoothing.h"

#include "autograd/ops.h"
#include "autograd/tape.h"

namespace dlcm::autograd {

Variable blend(const Variable& z, const Variable& gate, const Tensor& cu_seqlens) {
  return record("blend", {z, gate}, ops::blend(z.value(), gate.value(), cu_seqlens),
                {z.value(), gate.value(), cu_seqlens}, [](const BackwardContext& context) {
                  auto [dz, dgate] = ops::blend_backward(context.gradient(), context.saved(0),
                                                         context.saved(1), context.saved(2));
                  return std::vector<Tensor>{dz, dgate};
                });
}

Variable ema(const Variable& z, const Variable& p, const Tensor& cu_seqlens) {
  const Tensor y = ops::ema(z.value(), p.value(), cu_seqlens);
  return record("ema", {z, p}, y, {z.value(), p.value(), y, cu_seqlens}, [](const BackwardContext& context) {
    auto [dz, dp] = ops::ema_backward(context.gradient(), context.saved(0), context.saved(1),
                                      context.saved(2), context.saved(3));
    return std::vector<Tensor>{dz, dp};
  });
}

}  // namespace dlcm::autograd
