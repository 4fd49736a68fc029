#include "data/permutation.h"

#include <set>
#include <vector>

#include <doctest/doctest.h>

#include "tensor/check.h"

using dlcm::data::permuted;

TEST_CASE("permutation: every element once, for any size, seed and epoch") {
  for (const uint64_t n : {1, 2, 3, 5, 16, 17, 1000, 4097}) {
    for (const uint64_t seed : {0, 1, 99}) {
      for (const uint64_t epoch : {0, 1, 7}) {
        std::set<uint64_t> seen;
        for (uint64_t i = 0; i < n; ++i) seen.insert(permuted(seed, epoch, i, n));
        CHECK(seen.size() == n);
        CHECK(*seen.rbegin() == n - 1);
      }
    }
  }
}

TEST_CASE("permutation: epochs and seeds differ, and elements are spread") {
  const uint64_t n = 1000;
  const auto order = [&](uint64_t seed, uint64_t epoch) {
    std::vector<uint64_t> values;
    for (uint64_t i = 0; i < n; ++i) values.push_back(permuted(seed, epoch, i, n));
    return values;
  };
  CHECK(order(1, 0) != order(1, 1));
  CHECK(order(1, 0) != order(2, 0));
  CHECK(order(1, 0) == order(1, 0));
  uint64_t fixed = 0, neighbours = 0;
  const auto values = order(1, 0);
  for (uint64_t i = 0; i + 1 < n; ++i) {
    fixed += values[i] == i;
    neighbours += values[i + 1] == values[i] + 1;
  }
  CHECK(fixed < 10);
  CHECK(neighbours < 10);
  CHECK_THROWS_AS(permuted(1, 0, 5, 5), dlcm::Error);
}
