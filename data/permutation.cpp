#include "data/permutation.h"

#include <bit>

#include "tensor/check.h"
#include "tensor/random.h"

namespace dlcm::data {
namespace {

constexpr uint64_t kRounds = 6;

uint64_t feistel(uint64_t seed, uint64_t epoch, uint64_t value, int half_bits) {
  const uint64_t mask = (uint64_t{1} << half_bits) - 1;
  uint64_t left = value >> half_bits;
  uint64_t right = value & mask;
  for (uint64_t round = 0; round < kRounds; ++round) {
    const uint64_t mixed = random_bits(seed, RandomStream::data_order, epoch * kRounds + round, right) & mask;
    const uint64_t next = left ^ mixed;
    left = right;
    right = next;
  }
  return (left << half_bits) | right;
}

}  // namespace

uint64_t permuted(uint64_t seed, uint64_t epoch, uint64_t position, uint64_t n) {
  DLCM_CHECK(position < n, "permuted: position ", position, " of ", n);
  if (n == 1) return 0;
  const int half_bits = (std::bit_width(n - 1) + 1) / 2;
  uint64_t value = position;
  do {
    value = feistel(seed, epoch, value, half_bits);
  } while (value >= n);
  return value;
}

}  // namespace dlcm::data
