// Layouts, inputs and the definition of attention, for the tests of its two implementations.
#pragma once

#include <vector>

#include "tensor/ops/attention.h"

namespace dlcm::test {

ops::AttentionLayout layout_of(const std::vector<int32_t>& begin, const std::vector<int32_t>& end);
// Causal self-attention of documents laid end to end.
ops::AttentionLayout causal(const std::vector<int32_t>& lengths);
// Tokens of documents to their concepts so far, one new concept every few tokens; none at first.
ops::AttentionLayout cross(const std::vector<int32_t>& lengths, int32_t tokens_per_concept);
// Each token to the `width` tokens that end with itself.
ops::AttentionLayout window(int32_t tokens, int32_t width);
// The same with biases of the dtype.
ops::AttentionLayout in_dtype(const ops::AttentionLayout& layout, DType dtype);
// Of the queries [begin, end) alone.
ops::AttentionLayout rows_of(const ops::AttentionLayout& layout, int64_t begin, int64_t end);

struct AttentionSizes {
  int64_t heads, kv_heads, head_dim;
};

struct AttentionCase {
  ops::AttentionLayout layout;
  std::vector<Tensor> inputs;  // q, k, v in f64

  AttentionCase(ops::AttentionLayout ranges, int64_t keys, AttentionSizes sizes, uint64_t seed = 1);
  void with_biases();
  std::vector<Tensor> inputs_in(DType dtype) const;
};

// Layouts and sizes at the edges of tiles, blocks and groups of heads, for every pass and dtype: without
// biases, and with those of all keys, of the last ones, of both.
std::vector<AttentionCase> attention_cases();

// o and lse by plain loops over f64, from the definition.
std::vector<Tensor> reference_attention(const std::vector<Tensor>& inputs,
                                        const ops::AttentionLayout& layout);

}  // namespace dlcm::test
