#include "tensor/ops/gather_rows.h"

#include "autograd/ops.h"
#include "autograd/tape.h"

namespace dlcm::autograd {

Variable gather_rows(const Variable& x, const Tensor& index) {
  return record(
      "gather_rows", {x}, ops::gather_rows(x.value(), index), {index},
      [rows = x.size(0)](const BackwardContext& context) {
        return std::vector<Tensor>{ops::gather_rows_backward(context.gradient(), context.saved(0), rows)};
      });
}

}  // namespace dlcm::autograd
