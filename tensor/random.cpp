#include "tensor/random.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

namespace dlcm {
namespace {

struct Words {
  uint32_t w0, w1, w2, w3;
};

inline Words philox_words(uint64_t key, uint64_t counter_low, uint64_t counter_high) {
  Words c = {static_cast<uint32_t>(counter_low), static_cast<uint32_t>(counter_low >> 32),
             static_cast<uint32_t>(counter_high), static_cast<uint32_t>(counter_high >> 32)};
  auto key0 = static_cast<uint32_t>(key);
  auto key1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53u} * c.w0;
    const uint64_t b = uint64_t{0xCD9E8D57u} * c.w2;
    c = {static_cast<uint32_t>(b >> 32) ^ c.w1 ^ key0, static_cast<uint32_t>(b),
         static_cast<uint32_t>(a >> 32) ^ c.w3 ^ key1, static_cast<uint32_t>(a)};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return c;
}

// The stream is mixed into the key so that two streams of one seed share no counters.
uint64_t key_of(uint64_t seed, RandomStream stream) {
  return seed ^ (static_cast<uint64_t>(stream) * 0x9E3779B97F4A7C15ull);
}

std::array<uint32_t, 4> draw(uint64_t seed, RandomStream stream, uint64_t index, uint64_t position) {
  return philox(key_of(seed, stream), position, index);
}

// Uniform in (0, 1).
inline double open_uniform(uint32_t word) {
  return (static_cast<double>(word) + 0.5) * 0x1p-32;
}

// log u of a normal u > 0 and cos x of 0 <= x <= 2 pi without a branch, within a few units in the last place
// (fdlibm's polynomials and its split of pi / 2).
inline double near_log(double u) {
  constexpr double kLn2High = 6.93147180369123816490e-01, kLn2Low = 1.90821492927058770002e-10;
  constexpr uint64_t kRootOfHalf = 0x3FE6A09E667F3BCD;
  const auto bits = std::bit_cast<uint64_t>(u);
  const int64_t exponent = static_cast<int64_t>(bits - kRootOfHalf) >> 52;
  const auto k = static_cast<double>(exponent);
  const double f = std::bit_cast<double>(bits - (static_cast<uint64_t>(exponent) << 52)) - 1;
  const double s = f / (2 + f), z = s * s, half = 0.5 * f * f;
  double r = 1.479819860511658591e-01;
  r = r * z + 1.531383769920937332e-01;
  r = r * z + 1.818357216161805012e-01;
  r = r * z + 2.222219843214978396e-01;
  r = r * z + 2.857142874366239149e-01;
  r = r * z + 3.999999999940941908e-01;
  r = r * z + 6.666666666666735130e-01;
  return k * kLn2High - ((half - (s * (half + r * z) + k * kLn2Low)) - f);
}

inline double near_cos(double x) {
  constexpr double kHalfPiHigh = 1.57079632673412561417e+00;  // few bits: its product with 0 to 4 is exact
  constexpr double kHalfPiLow = 6.07710050650619224932e-11;
  constexpr double kRound = 0x1.8p52;  // adding it leaves the nearest integer in the low bits
  const double rounded = x * (2 / std::numbers::pi) + kRound;
  const double n = rounded - kRound;
  const double r = (x - n * kHalfPiHigh) - n * kHalfPiLow, z = r * r;
  double sine = 1.58969099521155010221e-10;
  sine = sine * z - 2.50507602534068634195e-08;
  sine = sine * z + 2.75573137070700676789e-06;
  sine = sine * z - 1.98412698298579493134e-04;
  sine = sine * z + 8.33333333332248946124e-03;
  sine = sine * z - 1.66666666666666324348e-01;
  sine = sine * z * r + r;
  double cosine = -1.13596475577881948265e-11;
  cosine = cosine * z + 2.08757232129817482790e-09;
  cosine = cosine * z - 2.75573143513906633035e-07;
  cosine = cosine * z + 2.48015872894767294178e-05;
  cosine = cosine * z - 1.38888888888741095749e-03;
  cosine = cosine * z + 4.16666666666666019037e-02;
  cosine = 1 - (0.5 * z - z * z * cosine);
  const auto quarter = std::bit_cast<uint64_t>(rounded);
  const double magnitude = (quarter & 1) != 0 ? sine : cosine;
  return ((quarter + 1) & 2) != 0 ? -magnitude : magnitude;
}

constexpr int kBlock = 128;

void draw_block(uint64_t key, uint64_t index, uint64_t first, uint32_t* words0, uint32_t* words1) {
#pragma omp simd
  for (uint64_t i = 0; i < kBlock; ++i) {
    const Words words = philox_words(key, first + i, index);
    words0[i] = words.w0;
    words1[i] = words.w1;
  }
}

// scale x random_normal within 16 units in the last place.
void near_normals(const uint32_t* words0, const uint32_t* words1, double scale, double* to) {
  for (int i = 0; i < kBlock; ++i) {
    const double u = open_uniform(words0[i]), v = open_uniform(words1[i]);
    to[i] = scale * (std::sqrt(-2.0 * near_log(u)) * near_cos(2.0 * std::numbers::pi * v));
  }
}

// Whether every value, if wrong by no more than that, rounds to the same float.
bool rounds_surely(const double* values) {
  constexpr uint64_t kError = 16;
  constexpr uint64_t kTie = uint64_t{1} << 28;  // of the 29 bits that a float lacks
  uint64_t doubtful = 0;
#pragma omp simd reduction(| : doubtful)
  for (int i = 0; i < kBlock; ++i) {
    const uint64_t above = (std::bit_cast<uint64_t>(values[i]) - (kTie - kError)) & (2 * kTie - 1);
    const bool subnormal = std::abs(values[i]) < 0x1p-126;
    doubtful |= static_cast<uint64_t>(above <= 2 * kError) | static_cast<uint64_t>(subnormal);
  }
  return doubtful == 0;
}

}  // namespace

std::array<uint32_t, 4> philox(uint64_t key, uint64_t counter_low, uint64_t counter_high) {
  const Words words = philox_words(key, counter_low, counter_high);
  return {words.w0, words.w1, words.w2, words.w3};
}

float random_uniform(uint64_t seed, RandomStream stream, uint64_t index, uint64_t position) {
  return static_cast<float>(draw(seed, stream, index, position)[0] >> 8) * 0x1p-24f;
}

double random_normal(uint64_t seed, RandomStream stream, uint64_t index, uint64_t position) {
  const auto words = draw(seed, stream, index, position);
  const double u = open_uniform(words[0]), v = open_uniform(words[1]);
  return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v);
}

void random_normals(uint64_t seed, RandomStream stream, uint64_t index, uint64_t first, double scale,
                    std::span<float> to) {
  uint32_t words0[kBlock], words1[kBlock];
  double values[kBlock];
  for (size_t begin = 0; begin < to.size(); begin += kBlock) {
    const std::span<float> part = to.subspan(begin, std::min<size_t>(kBlock, to.size() - begin));
    draw_block(key_of(seed, stream), index, first + begin, words0, words1);
    near_normals(words0, words1, scale, values);
    const bool sure = rounds_surely(values);
    for (size_t i = 0; i < part.size(); ++i) {
      part[i] = static_cast<float>(sure ? values[i]
                                        : scale * random_normal(seed, stream, index, first + begin + i));
    }
  }
}

uint64_t random_bits(uint64_t seed, RandomStream stream, uint64_t index, uint64_t position) {
  const auto words = draw(seed, stream, index, position);
  return (static_cast<uint64_t>(words[1]) << 32) | words[0];
}

uint64_t mixed_bits(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

uint64_t hash_name(std::string_view name, uint64_t before) {
  uint64_t hash = before;
  for (const char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001B3ull;
  return hash;
}

}  // namespace dlcm
