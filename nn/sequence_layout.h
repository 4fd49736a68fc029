// What the layers of a stack need to know of a packed batch: where each document begins, who sees whom, and
// the rotary angles. Made once per forward pass.
#pragma once

#include "tensor/ops/attention.h"
#include "tensor/tensor.h"

namespace dlcm::nn {

inline constexpr double kRotaryBase = 10000.0;  // where a model does not say another

struct SequenceLayout {
  Tensor cu_seqlens;            // [documents + 1] i32
  ops::AttentionLayout causal;  // each row sees its document up to itself
  Tensor rotary;                // table of the positions, which restart at each document
};

// Throws Error naming the first offset that is wrong (ops::check_offsets): no document is empty.
SequenceLayout make_layout(const Tensor& cu_seqlens, int64_t head_dim, DType dtype,
                           double rotary_base = kRotaryBase);

// Position of each row in its document, [T] i32.
Tensor positions_of(const Tensor& cu_seqlens);

}  // namespace dlcm::nn
