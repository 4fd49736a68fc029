#include "nn/sequence_layout.h"

#include "tensor/ops/offsets.h"
#include "tensor/ops/rotary_table.h"

namespace dlcm::nn {

Tensor positions_of(const Tensor& cu_seqlens) {
  const int32_t* offsets = cu_seqlens.data<int32_t>();
  const int64_t documents = cu_seqlens.numel() - 1;
  Tensor positions = Tensor::empty({offsets[documents]}, DType::i32);
  for (int64_t document = 0; document < documents; ++document) {
    for (int32_t t = offsets[document]; t < offsets[document + 1]; ++t) {
      positions.data<int32_t>()[t] = t - offsets[document];
    }
  }
  return positions;
}

SequenceLayout make_layout(const Tensor& cu_seqlens, int64_t head_dim, DType dtype, double rotary_base) {
  const int64_t rows = ops::check_offsets("cu_seqlens", cu_seqlens);
  const Tensor positions = positions_of(cu_seqlens);
  SequenceLayout layout;
  layout.cu_seqlens = cu_seqlens;
  layout.causal.key_begin = Tensor::empty({rows}, DType::i32);
  layout.causal.key_end = Tensor::empty({rows}, DType::i32);
  for (int64_t t = 0; t < rows; ++t) {
    layout.causal.key_begin.data<int32_t>()[t] = static_cast<int32_t>(t) - positions.data<int32_t>()[t];
    layout.causal.key_end.data<int32_t>()[t] = static_cast<int32_t>(t) + 1;
  }
  layout.rotary = ops::rotary_table(positions, head_dim, rotary_base, dtype);
  return layout;
}

}  // namespace dlcm::nn
