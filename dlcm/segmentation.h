// How a packed batch falls into concepts: what follows from the boundaries b (sections 4 and 8 of the model's
// description).
#pragma once

#include "dlcm/config.h"
#include "tensor/ops/attention.h"
#include "tensor/tensor.h"

namespace dlcm {

// Segment k of the batch is the run of tokens from one boundary to the next; segments never cross documents.
struct Segmentation {
  Tensor boundary;    // [T] u8: 1 where a token begins a segment
  Tensor offsets;     // [M + 1] i32: first token of each segment, then T
  Tensor concept_of;  // [T] i32: the segment that holds each token
  Tensor cu_seqlens;  // [documents + 1] i32: first segment of each document, then M
  int64_t count = 0;  // M
};

// boundary [T] u8 must be 1 at the first token of each document of cu_seqlens [documents + 1] i32; throws
// Error naming the document otherwise, and where the offsets are wrong (ops::check_offsets).
Segmentation segment(const Tensor& boundary, const Tensor& cu_seqlens);

// Which concepts each token sees, as key ranges over the M concepts (implementations segment and dense).
ops::AttentionLayout concept_ranges(const Segmentation& segmentation, const Tensor& cu_seqlens,
                                    const CrossAttentionConfig& config, DType dtype);
// The same for keys replicated to the T tokens (Eq. 17): ranges over tokens, with a bias of -log n where each
// concept of n tokens is to count once.
ops::AttentionLayout replicated_ranges(const Segmentation& segmentation, const Tensor& cu_seqlens,
                                       const CrossAttentionConfig& config, DType dtype);

}  // namespace dlcm
