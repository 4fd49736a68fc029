// Keys and values of one sequence for one attention: grows as the sequence does.
#pragma once

#include "tensor/tensor.h"

namespace dlcm::nn {

class KeyValueCache {
 public:
  int64_t length() const { return length_; }
  Tensor keys() const { return keys_.slice(0, length_); }      // [length, kv_heads, head_dim]
  Tensor values() const { return values_.slice(0, length_); }  // likewise
  // Adds rows of shape [n, kv_heads, head_dim]; the capacity doubles when it is reached.
  void append(const Tensor& keys, const Tensor& values);
  // Forgets all rows from `length` on.
  void truncate(int64_t length) { length_ = length; }

 private:
  Tensor keys_, values_;  // [capacity, kv_heads, head_dim]
  int64_t length_ = 0;
};

// Attention of one query row [1, heads, head_dim] to everything in the cache, or to nothing (0) if it is
// empty. `key_bias` [length] may be undefined.
Tensor attend_to_cache(const Tensor& query, const KeyValueCache& cache, const Tensor& key_bias = Tensor());

}  // namespace dlcm::nn
