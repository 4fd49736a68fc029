// Keys and values of one sequence for one attention: grows as the sequence does.
#pragma once

#include <span>
#include <vector>

#include "tensor/ops/decode_attention.h"
#include "tensor/tensor.h"

namespace dlcm::nn {

class KeyValueCache {
 public:
  int64_t length() const { return length_; }
  Tensor keys() const { return keys_.slice(0, length_); }      // [length, kv_heads, head_dim]
  Tensor values() const { return values_.slice(0, length_); }  // likewise
  // Both as an operator on several caches takes them.
  ops::DecodeCache rows() const;
  int64_t kv_heads() const { return keys_.size(1); }
  DType dtype() const { return keys_.dtype(); }
  // Adds rows of shape [n, kv_heads, head_dim]; the capacity doubles when it is reached.
  void append(const Tensor& keys, const Tensor& values);
  // Forgets all rows from `length` on.
  void truncate(int64_t length) { length_ = length; }

 private:
  Tensor keys_, values_;  // [capacity, kv_heads, head_dim]
  int64_t length_ = 0;
};

// Attention of one query row for each of B sequences, queries [B, heads, head_dim], to everything in the
// cache of each, or to nothing (0) if that is empty. `key_biases` has a row of [length] for each sequence, or
// none.
Tensor attend_to_caches(const Tensor& queries, std::span<const KeyValueCache* const> caches,
                        std::span<const std::vector<float>* const> key_biases = {});

}  // namespace dlcm::nn
