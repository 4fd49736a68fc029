// Vectors of the machine's width, written with the compilers' vector types: blocks of sums stay in registers,
// which loops over local arrays do not achieve reliably.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

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
    for (auto& vector : x) {
      for (int lane = 0; lane < detail::Simd<T>::kWidth; ++lane) vector[lane] = std::exp2(vector[lane]);
    }
  }
}

}  // namespace dlcm::cpu
