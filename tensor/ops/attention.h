// Attention of every query to a contiguous range of keys: causal self-attention in packed documents, and the
// ragged causal cross-attention of tokens to concepts (Eq. 12-14), are the same operator with other ranges.
//
//   s_tk = q_t . k_k / sqrt(head_dim) + bias_tk     for key_begin[t] <= k < key_end[t], per head
//   o_t  = sum_k softmax_k(s_t) v_k                 o_t = 0 where the range is empty
//
// bias_tk is key_bias[k], or 0 where key_bias is not defined; if last_bias is defined, last_bias[t] takes its
// place for the last key of t's range (k = key_end[t] - 1). (key_bias = log n makes a concept of n tokens
// count as n equal keys; last_bias lets an open concept count only its tokens so far.)
//
// Shapes: q, o [T, heads, head_dim]; k, v [M, kv_heads, head_dim]; heads is a multiple of kv_heads, query
// head h uses key head h / (heads / kv_heads). All of one dtype, f32, f64 or bf16.
//
// bf16 is for operands of products alone: probabilities are rounded to it for p v, so are d_o and the
// gradients of the scores in the backward pass; sums, softmax, biases, lse, gradients and (by default) o are
// f32.
//
// `attention` works in tiles with an online softmax (Milakov & Gimelshein, arXiv 1805.02867; Dao et al.,
// arXiv 2205.14135): nothing of size T x T or T x M is in memory, forward or backward, and tiles outside
// every range are skipped. `dense_attention` (f32, f64) stores the T x M scores of each head: the reference.
// The arithmetic of a row does not depend on which other rows are computed with it, nor on the number of
// threads. (Values that are not finite are the exception: of keys that some rows of a tile see and others do
// not they make NaN of both, 0 times infinity.)
#pragma once

#include "tensor/tensor.h"

namespace dlcm::ops {

// key_begin and key_end [T] i32 must each be non-decreasing, 0 <= key_begin <= key_end <= M (key_end <
// key_begin is an error). Throws Error naming the first t that breaks this.
struct AttentionLayout {
  Tensor key_begin;
  Tensor key_end;
  Tensor key_bias;   // [M] or undefined, f32, or f64 with q
  Tensor last_bias;  // [T] or undefined, likewise
};

struct Attention {
  Tensor o;    // [T, heads, head_dim]
  Tensor lse;  // [T, heads]: log sum exp of the scores, -inf for an empty range
};
Attention attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionLayout& layout);
// `output` is the dtype of o: that of the sums, or bf16 for operands of bf16, which rounds o where it is
// made.
Attention attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionLayout& layout,
                    DType output);

struct AttentionGradients {
  Tensor dq, dk, dv;
};
// d_o and o may be bf16 where q is. `o` and `lse` are those of the forward pass; scores are computed again
// tile by tile.
AttentionGradients attention_backward(const Tensor& d_o, const Tensor& q, const Tensor& k, const Tensor& v,
                                      const Attention& forward, const AttentionLayout& layout);

struct DenseAttention {
  Tensor o;
  Tensor probability;  // [heads, T, M]
};
DenseAttention dense_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                               const AttentionLayout& layout);
AttentionGradients dense_attention_backward(const Tensor& d_o, const Tensor& q, const Tensor& k,
                                            const Tensor& v, const Tensor& probability);

}  // namespace dlcm::ops
