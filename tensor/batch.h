// The only batch layout: one row of T tokens, whole documents (or pieces of them) laid end to end. Nothing
// crosses a document's edge. A "batch of B sequences" is B documents.
#pragma once

#include "tensor/tensor.h"

namespace dlcm {

struct PackedBatch {
  Tensor tokens;      // [T] i32
  Tensor targets;     // [T] i32: the token that follows, -1 where nothing is to be predicted
  Tensor cu_seqlens;  // [documents + 1] i32: first 0, last T, increasing
  Tensor samples;  // [documents] i64: the document's number in the run's data order; keys its random numbers

  int64_t token_count() const { return tokens.numel(); }
  int64_t document_count() const { return samples.numel(); }
};

}  // namespace dlcm
