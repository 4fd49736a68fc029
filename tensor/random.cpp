#include "tensor/random.h"

#include <cmath>
#include <numbers>

namespace dlcm {
namespace {

struct Product {
  uint32_t high, low;
};

Product multiply(uint32_t a, uint32_t b) {
  const uint64_t product = static_cast<uint64_t>(a) * b;
  return {static_cast<uint32_t>(product >> 32), static_cast<uint32_t>(product)};
}

// The stream is mixed into the key so that two streams of one seed share no counters.
std::array<uint32_t, 4> draw(uint64_t seed, RandomStream stream, uint64_t index, uint64_t position) {
  const uint64_t key = seed ^ (static_cast<uint64_t>(stream) * 0x9E3779B97F4A7C15ull);
  return philox(key, position, index);
}

}  // namespace

std::array<uint32_t, 4> philox(uint64_t key, uint64_t counter_low, uint64_t counter_high) {
  std::array<uint32_t, 4> counter = {
      static_cast<uint32_t>(counter_low), static_cast<uint32_t>(counter_low >> 32),
      static_cast<uint32_t>(counter_high), static_cast<uint32_t>(counter_high >> 32)};
  auto key0 = static_cast<uint32_t>(key);
  auto key1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const Product a = multiply(0xD2511F53u, counter[0]);
    const Product b = multiply(0xCD9E8D57u, counter[2]);
    counter = {b.high ^ counter[1] ^ key0, b.low, a.high ^ counter[3] ^ key1, a.low};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

float random_uniform(uint64_t seed, RandomStream stream, uint64_t index, uint64_t position) {
  return static_cast<float>(draw(seed, stream, index, position)[0] >> 8) * 0x1p-24f;
}

double random_normal(uint64_t seed, RandomStream stream, uint64_t index, uint64_t position) {
  const auto words = draw(seed, stream, index, position);
  const double u = (static_cast<double>(words[0]) + 0.5) * 0x1p-32;  // never 0
  const double v = (static_cast<double>(words[1]) + 0.5) * 0x1p-32;
  return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v);
}

uint64_t random_bits(uint64_t seed, RandomStream stream, uint64_t index, uint64_t position) {
  const auto words = draw(seed, stream, index, position);
  return (static_cast<uint64_t>(words[1]) << 32) | words[0];
}

uint64_t hash_name(std::string_view name) {
  uint64_t hash = 0xCBF29CE484222325ull;
  for (const char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001B3ull;
  return hash;
}

}  // namespace dlcm
