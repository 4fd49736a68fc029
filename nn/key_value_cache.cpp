#include "nn/key_value_cache.h"

#include <algorithm>
#include <vector>

#include "tensor/ops/attention.h"

namespace dlcm::nn {
namespace {

constexpr int64_t kFirstCapacity = 64;

Tensor grown(const Tensor& old, int64_t length, int64_t capacity, const Tensor& rows) {
  std::vector<int64_t> sizes = rows.shape().sizes();
  sizes[0] = capacity;
  const Tensor larger = Tensor::empty(Shape(std::move(sizes)), rows.dtype());
  if (length > 0) larger.slice(0, length).copy_from(old.slice(0, length));
  return larger;
}

}  // namespace

void KeyValueCache::append(const Tensor& keys, const Tensor& values) {
  const int64_t added = keys.size(0);
  if (added == 0) return;
  const int64_t capacity = keys_.defined() ? keys_.size(0) : 0;
  if (length_ + added > capacity) {
    const int64_t wanted = std::max({2 * capacity, length_ + added, kFirstCapacity});
    keys_ = grown(keys_, length_, wanted, keys);
    values_ = grown(values_, length_, wanted, values);
  }
  keys_.slice(length_, length_ + added).copy_from(keys);
  values_.slice(length_, length_ + added).copy_from(values);
  length_ += added;
}

Tensor attend_to_cache(const Tensor& query, const KeyValueCache& cache, const Tensor& key_bias) {
  if (cache.length() == 0) return query.zeros_like();
  ops::AttentionLayout layout;
  layout.key_begin = Tensor::from<int32_t>({0});
  layout.key_end = Tensor::from<int32_t>({static_cast<int32_t>(cache.length())});
  layout.key_bias = key_bias;
  return ops::attention(query, cache.keys(), cache.values(), layout).o;
}

}  // namespace dlcm::nn
