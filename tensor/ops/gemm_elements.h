// Element types of packed blocks. A word is what the kernel multiplies at once in each lane: a float, a
// double, or two bf16 neighbours in k. Internal to tensor/ops/gemm*.cpp.
#pragma once

#include <cstdint>
#include <cstring>

#include "tensor/dtype.h"
#include "tensor/tile_product.h"

#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

namespace dlcm::cpu {

// `along` makes words of `count` neighbours in k, `across` words of `count` vectors at one place (pair) of k,
// whose second element is absent (null) at the end of an odd k.
template <class T>
struct PlainElement {
  using Word = T;
  using Sum = T;
  static constexpr int64_t kPerWord = 1;
  using Vector = typename detail::Simd<T>::Vector;

  static void along(const T* from, int64_t count, Word* to) {
    std::memcpy(to, from, static_cast<size_t>(count) * sizeof(T));
  }
  static void across(const T* from, const T* /*second*/, int64_t count, Word* to) { along(from, count, to); }
  static Vector load(const Word* from) { return detail::Simd<T>::load(from); }
  static Vector multiply_add(Vector sum, Word left, Vector right) { return sum + left * right; }
};

inline Bf16 rounded(float x) {
  return Bf16(x);
}
inline Bf16 rounded(Bf16 x) {
  return x;
}

struct PairElement {
  using Word = uint32_t;  // the lower half is the earlier element
  using Sum = float;
  static constexpr int64_t kPerWord = 2;
  typedef uint32_t Vector __attribute__((vector_size(kVectorBytes)));
  using Sums = detail::Simd<float>::Vector;

  static Word pair(Bf16 first, Bf16 second) {
    return static_cast<uint32_t>(first.bits) | static_cast<uint32_t>(second.bits) << 16;
  }

  static void along(const float* from, int64_t count, Word* to) {
    if (count % 2 != 0) to[count / 2] = 0;
    round_row(from, count, reinterpret_cast<Bf16*>(to));
  }
  static void along(const Bf16* from, int64_t count, Word* to) {
    if (count % 2 != 0) to[count / 2] = 0;
    std::memcpy(to, from, static_cast<size_t>(count) * sizeof(Bf16));
  }

#if defined(__AVX512BF16__)
  static __m256i load_rounded(const float* from) {
    const __m256bh narrow = _mm512_cvtneps_pbh(_mm512_loadu_ps(from));
    __m256i bits;
    std::memcpy(&bits, &narrow, sizeof(bits));
    return bits;
  }
  static __m256i load_rounded(const Bf16* from) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  }
#endif
  template <class S>
  static void across(const S* first, const S* second, int64_t count, Word* to) {
    int64_t i = 0;
#if defined(__AVX512BF16__)
    if (second != nullptr) {
      for (; i + 16 <= count; i += 16) {
        const __m512i low = _mm512_cvtepu16_epi32(load_rounded(first + i));
        const __m512i high = _mm512_slli_epi32(_mm512_cvtepu16_epi32(load_rounded(second + i)), 16);
        _mm512_storeu_si512(to + i, _mm512_or_si512(low, high));
      }
    }
#endif
    for (; i < count; ++i) to[i] = pair(rounded(first[i]), second != nullptr ? rounded(second[i]) : Bf16());
  }

  static Vector load(const Word* from) {
    Vector vector;
    std::memcpy(&vector, from, sizeof(vector));
    return vector;
  }
  static Sums multiply_add(Sums sum, Vector left, Vector right) {
#if defined(__AVX512BF16__)
    return reinterpret_cast<Sums>(_mm512_dpbf16_ps(
        reinterpret_cast<__m512>(sum), reinterpret_cast<__m512bh>(left), reinterpret_cast<__m512bh>(right)));
#else
    // A product of two bf16 is exact in float32.
    sum += reinterpret_cast<Sums>(left & 0xffff0000u) * reinterpret_cast<Sums>(right & 0xffff0000u);
    return sum + reinterpret_cast<Sums>(left << 16) * reinterpret_cast<Sums>(right << 16);
#endif
  }
  static Sums multiply_add(Sums sum, Word left, Vector right) {
    return multiply_add(sum, Vector{} + left, right);
  }
};

}  // namespace dlcm::cpu
