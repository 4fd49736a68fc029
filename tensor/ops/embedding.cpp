#include "tensor/ops/embedding.h"

#include "tensor/dispatch.h"
#include "tensor/ops/gather_rows.h"
#include "tensor/profile.h"

namespace dlcm::ops {
namespace {

void check_ids(const Tensor& ids, int64_t vocabulary) {
  DLCM_CHECK(ids.rank() == 1, "embedding: ids have shape ", ids.shape(), ", expected rank 1");
  const int32_t* values = ids.data<int32_t>();
  for (int64_t t = 0; t < ids.numel(); ++t) {
    DLCM_CHECK(values[t] >= 0 && values[t] < vocabulary, "embedding: token ", t, " has id ", values[t],
               ", the vocabulary has ", vocabulary, "; were the tokens made with another tokenizer?");
  }
}

}  // namespace

Tensor embedding(const Tensor& ids, const Tensor& table) {
  DLCM_CHECK(table.rank() == 2, "embedding: table has shape ", table.shape(), ", expected rank 2");
  check_ids(ids, table.size(0));
  const ProfileScope profile("embedding");
  const Tensor y = Tensor::empty({ids.numel(), table.size(1)}, table.dtype(), table.device());
  DLCM_DISPATCH_CPU(table.device(), gather_rows_forward(table, ids, y));
  return y;
}

Tensor embedding_backward(const Tensor& dy, const Tensor& ids, int64_t rows) {
  check_ids(ids, rows);
  DLCM_CHECK(dy.rank() == 2 && dy.size(0) == ids.numel(), "embedding_backward: dy has shape ", dy.shape(),
             ", there are ", ids.numel(), " ids");
  const ProfileScope profile("embedding_backward", 1, dy.numel());
  const Tensor dtable = Tensor::empty({rows, dy.size(1)}, dy.dtype(), dy.device());
  DLCM_DISPATCH_CPU(dy.device(), gather_rows_backward(dy, ids, dtable));
  return dtable;
}

}  // namespace dlcm::ops
