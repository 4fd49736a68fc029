#include "nn/key_value_cache.h"

#include <doctest/doctest.h>

#include "tests/op_check.h"

namespace dlcm::test {
namespace {

using nn::KeyValueCache;

constexpr int64_t kHeads = 2;
constexpr int64_t kHeadDim = 3;

Tensor rows(int64_t count, uint64_t seed) {
  return random_tensor({count, kHeads, kHeadDim}, DType::f32, seed);
}

TEST_CASE("key-value cache: rows stay as they were while it grows") {
  const Tensor keys = rows(300, 1), values = rows(300, 2);
  KeyValueCache cache;
  CHECK(cache.length() == 0);
  int64_t length = 0;
  for (const int64_t added :
       {1, 0, 62, 1, 1, 100, 135}) {  // over the first capacity, and by more than doubling
    cache.append(keys.slice(length, length + added), values.slice(length, length + added));
    length += added;
    REQUIRE(cache.length() == length);
    CHECK(bit_equal(cache.keys(), keys.slice(0, length)));
    CHECK(bit_equal(cache.values(), values.slice(0, length)));
  }
  CHECK(length == 300);
}

TEST_CASE("key-value cache: what is cut off is written over") {
  const Tensor keys = rows(10, 1), values = rows(10, 2), other = rows(2, 3);
  KeyValueCache cache;
  cache.append(keys, values);
  cache.truncate(4);
  cache.append(other, other);
  REQUIRE(cache.length() == 6);
  CHECK(bit_equal(cache.keys().slice(0, 4), keys.slice(0, 4)));
  CHECK(bit_equal(cache.keys().slice(4, 6), other));
  CHECK(bit_equal(cache.values().slice(4, 6), other));
}

TEST_CASE("key-value cache: attention to one key is its value, to none is 0; a bias shifts the weight") {
  const Tensor query = rows(1, 4);
  KeyValueCache cache;
  const auto attended = [&](const std::vector<float>& bias = {0, 0}) {
    const KeyValueCache* const caches[] = {&cache};
    const std::vector<float>* const biases[] = {&bias};
    return nn::attend_to_caches(query, caches, biases);
  };
  CHECK(bit_equal(attended(), Tensor::zeros({1, kHeads, kHeadDim})));
  const Tensor keys = rows(2, 1), values = rows(2, 2);
  cache.append(keys.slice(0, 1), values.slice(0, 1));
  CHECK_CLOSE(attended(), values.slice(0, 1), 1e-6);
  cache.append(keys.slice(1, 2), values.slice(1, 2));
  CHECK_CLOSE(attended({-200, 0}), values.slice(1, 2), 1e-6);
  CHECK_CLOSE(attended({0, -200}), values.slice(0, 1), 1e-6);
}

}  // namespace
}  // namespace dlcm::test
