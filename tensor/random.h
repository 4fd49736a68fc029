// Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
// SC 2011).
//
// A draw is a pure function of (seed, stream, index, position): nothing stateful is kept, so a resumed,
// recomputed or re-sharded pass draws the same numbers.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace dlcm {

// Four independent 32-bit words for one counter.
std::array<uint32_t, 4> philox(uint64_t key, uint64_t counter_low, uint64_t counter_high);

// Keeps the uses of one seed apart.
enum class RandomStream : uint32_t {
  parameters = 1,
  boundaries = 2,
  data_order = 3,
  sampling = 4,
  tests = 5
};

// Uniform in [0, 1) with 24 bits, a pure function of its arguments.
float random_uniform(uint64_t seed, RandomStream stream, uint64_t index, uint64_t position);
// Standard normal (Box-Muller on two of the words), a pure function of its arguments.
double random_normal(uint64_t seed, RandomStream stream, uint64_t index, uint64_t position);
// to[i] = scale x random_normal(seed, stream, index, first + i), rounded to float: the same bits, many at
// once.
void random_normals(uint64_t seed, RandomStream stream, uint64_t index, uint64_t first, double scale,
                    std::span<float> to);
// 64 random bits, a pure function of its arguments.
uint64_t random_bits(uint64_t seed, RandomStream stream, uint64_t index, uint64_t position);

// Every bit of the result depends on every bit of x: the finalizer of SplitMix64 (Steele, Lea & Flood, "Fast
// splittable pseudorandom number generators", OOPSLA 2014).
uint64_t mixed_bits(uint64_t x);

// FNV-1a, 64 bits: a name's index in a stream. `before`: the hash of what precedes it.
constexpr uint64_t kEmptyNameHash = 0xCBF29CE484222325;
uint64_t hash_name(std::string_view name, uint64_t before = kEmptyNameHash);

}  // namespace dlcm
