// Vectors of the machine's width, written with the compilers' vector types: blocks of sums stay in registers,
// which loops over local arrays do not achieve reliably.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>

#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

#include "tensor/dtype.h"
#include "tensor/vector_math.h"

namespace dlcm::cpu {

// Tiles have a multiple of this many lanes, enough for a vector of every width.
inline constexpr int64_t kLaneMultiple = 16;

inline constexpr int64_t padded(int64_t n) {
  return (n + kLaneMultiple - 1) / kLaneMultiple * kLaneMultiple;
}

#if defined(__AVX512F__)
inline constexpr int kVectorBytes = 64;
#elif defined(__AVX__)
inline constexpr int kVectorBytes = 32;
#else
inline constexpr int kVectorBytes = 16;
#endif

namespace detail {

template <class T>
struct Simd {
  typedef T Vector __attribute__((vector_size(kVectorBytes)));
  static constexpr int kWidth = kVectorBytes / static_cast<int>(sizeof(T));
  static_assert(kLaneMultiple % kWidth == 0);

  static Vector load(const T* from) {
    Vector vector;
    std::memcpy(&vector, from, sizeof(vector));
    return vector;
  }
  static void store(T* to, Vector vector) { std::memcpy(to, &vector, sizeof(vector)); }
  static Vector all(T value) { return Vector{} + value; }
};

}  // namespace detail

// 2^x of each lane of several vectors, in place; see fast_exp2.
template <class T, int kCount>
void exp2_each(typename detail::Simd<T>::Vector (&x)[kCount]) {
  if constexpr (sizeof(T) == sizeof(float)) {
    dlcm::detail::fast_exp2_each<typename detail::Simd<float>::Vector,
                                 typename detail::Simd<uint32_t>::Vector>(x);
  } else {
    using V = detail::Simd<T>;
    for (auto& vector : x) {
      T lanes[V::kWidth];
      V::store(lanes, vector);
      for (T& lane : lanes) lane = std::exp2(lane);
      vector = V::load(lanes);
    }
  }
}

namespace detail {
// What of two vectors belongs into the first of them, or the second, when their blocks of kStep change
// places.
template <class T, int kStep, bool kSecond, int... kLane>
typename Simd<T>::Vector exchanged(typename Simd<T>::Vector first, typename Simd<T>::Vector second,
                                   std::integer_sequence<int, kLane...>) {
  constexpr int kFromFirst = kSecond ? kStep : 0, kFromSecond = Simd<T>::kWidth - (kSecond ? 0 : kStep);
  return __builtin_shufflevector(first, second,
                                 (kLane + ((kLane & kStep) != 0 ? kFromSecond : kFromFirst))...);
}
}  // namespace detail

// Transposes a square of vectors: blocks of kStep change places, then those of half the size.
template <class T, int kStep = detail::Simd<T>::kWidth / 2>
[[gnu::always_inline]] inline void transpose_square(typename detail::Simd<T>::Vector* rows) {
  constexpr auto kLanes = std::make_integer_sequence<int, detail::Simd<T>::kWidth>{};
#pragma GCC unroll 16
  for (int i = 0; i < detail::Simd<T>::kWidth; ++i) {
    if ((i & kStep) != 0) continue;
    const auto first = rows[i], second = rows[i + kStep];
    rows[i] = detail::exchanged<T, kStep, false>(first, second, kLanes);
    rows[i + kStep] = detail::exchanged<T, kStep, true>(first, second, kLanes);
  }
  if constexpr (kStep > 1) transpose_square<T, kStep / 2>(rows);
}

// Two elements that follow each other in the dimension a product sums over: what one lane of an operand of
// bf16 holds. The first is in the lower half of its word.
struct Bf16Pair {
  Bf16 first, second;
};
static_assert(sizeof(Bf16Pair) == sizeof(float));

namespace detail {

#if defined(__AVX512BF16__)

inline void store_rounded(Bf16* to, Simd<float>::Vector x) {
  const __m256bh rounded = _mm512_cvtneps_pbh(x);
  std::memcpy(static_cast<void*>(to), &rounded, sizeof(rounded));
}

inline void store_pairs(Bf16Pair* to, Simd<float>::Vector first, Simd<float>::Vector second) {
  // Rounded they follow each other; element i of the one is to stand beside element i of the other.
  typedef int16_t Index __attribute__((vector_size(kVectorBytes)));
  constexpr Index kInterleaved = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                  8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  const auto both = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(second, first));
  _mm512_storeu_si512(to, _mm512_permutexvar_epi16(reinterpret_cast<__m512i>(kInterleaved), both));
}

#else

// The words of x with their upper halves rounded to nearest, ties to even.
inline Simd<uint32_t>::Vector rounded_words(Simd<float>::Vector x) {
  const auto word = std::bit_cast<Simd<uint32_t>::Vector>(x);
  return x == x ? word + 0x7fff + ((word >> 16) & 1) : word | 0x400000;
}

inline void store_rounded(Bf16* to, Simd<float>::Vector x) {
  const auto word = rounded_words(x);
  for (int lane = 0; lane < Simd<float>::kWidth; ++lane)
    to[lane].bits = static_cast<uint16_t>(word[lane] >> 16);
}

inline void store_pairs(Bf16Pair* to, Simd<float>::Vector first, Simd<float>::Vector second) {
  const auto words = (rounded_words(first) >> 16) | (rounded_words(second) & 0xffff0000u);
  std::memcpy(static_cast<void*>(to), &words, sizeof(words));
}

#endif

}  // namespace detail

// Rounds n values to bf16.
inline void round_row(const float* from, int64_t n, Bf16* to) {
  using V = detail::Simd<float>;
  int64_t i = 0;
  for (; i + V::kWidth <= n; i += V::kWidth) detail::store_rounded(to + i, V::load(from + i));
  for (; i < n; ++i) to[i] = Bf16(from[i]);
}

}  // namespace dlcm::cpu
