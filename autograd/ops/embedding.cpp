#include "tensor/ops/embedding.h"

#include "autograd/ops.h"
#include "autograd/tape.h"

namespace dlcm::autograd {

Variable embedding(const Tensor& ids, const Variable& table) {
  return record(
      "embedding", {table}, ops::embedding(ids, table.value()), {ids},
      [rows = table.size(0)](const BackwardContext& context) {
        return std::vector<Tensor>{ops::embedding_backward(context.gradient(), context.saved(0), rows)};
      });
}

}  // namespace dlcm::autograd
