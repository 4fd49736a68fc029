#include "tensor/ops/boundary_probability.h"

#include "autograd/ops.h"
#include "autograd/tape.h"

namespace dlcm::autograd {

Variable boundary_probability(const Variable& q, const Variable& k, const Tensor& cu_seqlens) {
  return record("boundary_probability", {q, k}, ops::boundary_probability(q.value(), k.value(), cu_seqlens),
                {q.value(), k.value(), cu_seqlens}, [](const BackwardContext& context) {
                  auto [dq, dk] = ops::boundary_probability_backward(context.gradient(), context.saved(0),
                                                                     context.saved(1), context.saved(2));
                  return std::vector<Tensor>{dq, dk};
                });
}

}  // namespace dlcm::autograd
