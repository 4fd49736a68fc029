// Arithmetic for inner loops that the compiler turns into vector instructions.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace dlcm {

// e^x without a branch, within 2 units in the last place (Cody & Waite's range reduction, Cephes'
// polynomial). Subnormal results are rounded like others; -inf gives 0, overflow +inf, NaN NaN. The double is
// the C library's: float64 is for checks.
inline float fast_exp(float x) {
  constexpr float kLog2E = 1.44269504088896341f;
  constexpr float kLn2High = 0.693359375f;  // few bits, so that its product with a small integer is exact
  constexpr float kLn2Low = -2.12194440e-4f;
  constexpr float kRound = 12582912.0f;  // 1.5 x 2^23: adding it leaves the nearest integer in the low bits
  // Beyond these the result is 0 or +inf anyway. Written so that NaN passes.
  x = x < -104.0f ? -104.0f : x;
  x = x > 89.0f ? 89.0f : x;
  const float rounded = x * kLog2E + kRound;
  const float n = rounded - kRound;
  const float r = (x - n * kLn2High) - n * kLn2Low;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  // 2^n in two factors: one alone would overflow or be flushed where the result is representable.
  const auto exponent =
      static_cast<int32_t>(std::bit_cast<uint32_t>(rounded) - std::bit_cast<uint32_t>(kRound));
  const int32_t half = exponent >> 1;
  const auto power = [](int32_t e) { return std::bit_cast<float>((static_cast<uint32_t>(e) + 127u) << 23); };
  return p * power(half) * power(exponent - half);
}
inline double fast_exp(double x) {
  return std::exp(x);
}

namespace detail {
// 2^x in place. F is float or a vector of them, U the unsigned integers of the same size. Several at once
// keep the processor busy: each is a long chain of dependent operations.
template <class F, class U, int kCount>
inline void fast_exp2_each(F (&x)[kCount]) {
  constexpr float kLowest = -127.0f;
  // 1.5 x 2^23 + 127: adding it leaves the nearest integer and the exponent's bias in the low bits.
  constexpr float kRound = 12583039.0f;
  constexpr float kCoefficients[] = {9.67151392e-3f, 5.55073358e-2f, 2.40222424e-1f, 6.93147004e-1f, 1.0f};
  F rounded[kCount], p[kCount];
#pragma GCC unroll 8
  for (int i = 0; i < kCount; ++i) {
    x[i] = x[i] < kLowest ? F{} + kLowest : x[i];
    rounded[i] = x[i] + kRound;
    x[i] -= rounded[i] - kRound;
    p[i] = F{} + 1.32647273e-3f;
  }
#pragma GCC unroll 8
  for (const float coefficient : kCoefficients) {
#pragma GCC unroll 8
    for (int i = 0; i < kCount; ++i) p[i] = p[i] * x[i] + coefficient;
  }
#pragma GCC unroll 8
  for (int i = 0; i < kCount; ++i) x[i] = p[i] * std::bit_cast<F>(std::bit_cast<U>(rounded[i]) << 23);
}
}  // namespace detail

// 2^x for x up to 127, within 3 units in the last place; 0 below -126.5, exactly 1 at 0, NaN of NaN. For the
// exponentials of a softmax, whose arguments are not above 0: half the work of fast_exp.
inline float fast_exp2(float x) {
  float only[1] = {x};
  detail::fast_exp2_each<float, uint32_t>(only);
  return only[0];
}

template <class T>
T sigmoid(T x) {
  return T{1} / (T{1} + fast_exp(-x));
}

namespace detail {
// Partial results kept apart: enough for the latency of an addition at every vector width, and an order of
// summation that the compiler may not change.
inline constexpr int64_t kLanes = 64;
}  // namespace detail

// Largest of n elements, -inf where there are none; NaN is passed over.
template <class T>
T max_of(const T* x, int64_t n) {
  T lanes[detail::kLanes];
  std::fill_n(lanes, detail::kLanes, -std::numeric_limits<T>::infinity());
  int64_t i = 0;
  for (; i + detail::kLanes <= n; i += detail::kLanes) {
    for (int64_t j = 0; j < detail::kLanes; ++j) lanes[j] = x[i + j] > lanes[j] ? x[i + j] : lanes[j];
  }
  for (int64_t j = 0; i + j < n; ++j) lanes[j] = x[i + j] > lanes[j] ? x[i + j] : lanes[j];
  for (int64_t width = detail::kLanes / 2; width > 0; width /= 2) {
    for (int64_t j = 0; j < width; ++j) lanes[j] = lanes[j + width] > lanes[j] ? lanes[j + width] : lanes[j];
  }
  return lanes[0];
}

// sum_i a_i b_i in an order that depends on n alone, not on where the operands are.
template <class T>
T dot_of(const T* a, const T* b, int64_t n) {
  T lanes[detail::kLanes] = {};
  int64_t i = 0;
  for (; i + detail::kLanes <= n; i += detail::kLanes) {
    for (int64_t j = 0; j < detail::kLanes; ++j) lanes[j] += a[i + j] * b[i + j];
  }
  for (int64_t j = 0; i + j < n; ++j) lanes[j] += a[i + j] * b[i + j];
  for (int64_t width = detail::kLanes / 2; width > 0; width /= 2) {
    for (int64_t j = 0; j < width; ++j) lanes[j] += lanes[j + width];
  }
  return lanes[0];
}

}  // namespace dlcm
