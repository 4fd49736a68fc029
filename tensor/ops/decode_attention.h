// Attention of one query row of each of B sequences to a key-value cache of its own: a step of generation.
//
//   o_b = sum_k softmax_k(q_b . k_k / sqrt(head_dim) + bias_k) v_k     over the keys of sequence b, per head
//
// o_b is 0 where the cache is empty. The keys of a cache are taken in parts of a fixed length, which threads
// share and whose results are put together in order, and nothing is shared among sequences: the arithmetic of
// a sequence depends neither on the batch nor on the number of threads. Keys and values are read once for all
// heads of a group. Apart from the result no memory is taken but where a cache has several parts.
#pragma once

#include <span>

#include "tensor/tensor.h"

namespace dlcm::ops {

// Keys and values [length, kv_heads, head_dim] of one sequence; key_bias [length] or null.
struct DecodeCache {
  const void* keys = nullptr;
  const void* values = nullptr;
  const float* key_bias = nullptr;
  int64_t length = 0;
};

// q [B, heads, head_dim] f32; the caches hold `dtype`, f32 or bf16 (then widened as they are read). The
// result has the shape of q.
Tensor decode_attention(const Tensor& q, std::span<const DecodeCache> caches, int64_t kv_heads, DType dtype);

}  // namespace dlcm::ops
