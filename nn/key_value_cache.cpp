#include "nn/key_value_cache.h"

#include <algorithm>
#include <vector>

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

ops::DecodeCache KeyValueCache::rows() const {
  if (length_ == 0) return {};
  return {keys_.raw_data(), values_.raw_data(), nullptr, length_};
}

Tensor attend_to_caches(const Tensor& queries, std::span<const KeyValueCache* const> caches,
                        std::span<const std::vector<float>* const> key_biases) {
  const auto filled = std::find_if(caches.begin(), caches.end(),
                                   [](const KeyValueCache* cache) { return cache->length() > 0; });
  if (filled == caches.end()) return queries.zeros_like();
  std::vector<ops::DecodeCache> rows;
  for (size_t b = 0; b < caches.size(); ++b) {
    rows.push_back(caches[b]->rows());
    if (!key_biases.empty()) rows.back().key_bias = key_biases[b]->data();
  }
  return ops::decode_attention(queries, rows, (*filled)->kv_heads(), (*filled)->dtype());
}

}  // namespace dlcm::nn
