// The innermost loops of a matrix product: a block of C in vector registers. Internal to
// tensor/ops/gemm*.cpp.
#pragma once

#include <algorithm>

#include "tensor/ops/gemm_elements.h"

namespace dlcm::cpu {

inline int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

inline int64_t round_up(int64_t n, int64_t multiple) {
  return ceil_div(n, multiple) * multiple;
}

// Words of k in one packed block, and what a row of A takes of it: a constant, so that addresses are too, and
// no power of two, so that rows do not fall into the same set of the cache.
inline constexpr int64_t kBlockWords = 512;
inline constexpr int64_t kRowStride = kBlockWords + 16;

inline constexpr int kKernelVectors = 2;

// Rows of a call that is alone with its b: it waits for memory, and fetching ahead would only cost time.
inline constexpr int kFewRows = 6;

template <class E>
inline constexpr int64_t kKernelColumns = kKernelVectors* kVectorBytes /
                                          static_cast<int64_t>(sizeof(typename E::Word));

// c[rows, columns] (+)= a [rows][kRowStride] times b [words][kKernelColumns]; where `across` is not 0 a is
// [words][across], rows beside each other.
template <class E>
struct KernelCall {
  const typename E::Word* a;
  int64_t across;
  const typename E::Word* b;
  int64_t words;
  typename E::Sum* c;
  int64_t c_stride;
  bool add;
  // What is to be fetched on the way, so many words for each word of k: a share of the b that comes next.
  const typename E::Word* ahead;
  int64_t ahead_step;
};

template <class E, bool kAcross, int kRows>
void kernel(const KernelCall<E>& call) {
  constexpr int64_t kDistance = kAcross ? 1 : kRowStride;
  const int64_t step = kAcross ? call.across : 1;
  using Sums = typename detail::Simd<typename E::Sum>::Vector;
  constexpr int kWidth = detail::Simd<typename E::Sum>::kWidth;
  // They come from memory while the products are computed.
#pragma GCC unroll 12
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < kKernelVectors; ++j) __builtin_prefetch(call.c + i * call.c_stride + j * kWidth, 1);
  }
  Sums sums[kRows][kKernelVectors] = {};
  const typename E::Word* a = call.a;
  const typename E::Word* b = call.b;
  const typename E::Word* ahead = call.ahead;
  for (int64_t k = 0; k < call.words; ++k, a += step, b += kKernelColumns<E>, ahead += call.ahead_step) {
    if constexpr (kRows > kFewRows) __builtin_prefetch(ahead, 0, 2);
    const auto first = E::load(b);
    const auto second = E::load(b + kWidth);
#pragma GCC unroll 12
    for (int i = 0; i < kRows; ++i) {
      const typename E::Word left = a[i * kDistance];
      sums[i][0] = E::multiply_add(sums[i][0], left, first);
      sums[i][1] = E::multiply_add(sums[i][1], left, second);
    }
  }
#pragma GCC unroll 12
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < kKernelVectors; ++j) {
      using V = detail::Simd<typename E::Sum>;
      typename E::Sum* to = call.c + i * call.c_stride + j * kWidth;
      V::store(to, call.add ? V::load(to) + sums[i][j] : sums[i][j]);
    }
  }
}

// rows <= kRows.
template <class E, bool kAcross, int kRows>
void kernel_of(int64_t rows, const KernelCall<E>& call) {
  if constexpr (kRows == 1) {
    kernel<E, kAcross, 1>(call);
  } else if (rows == kRows) {
    kernel<E, kAcross, kRows>(call);
  } else {
    kernel_of<E, kAcross, kRows - 1>(rows, call);
  }
}

// A kernel of gemm_driver.h.
template <class E>
class VectorKernel {
 public:
  using Element = E;
  static constexpr bool kTakesAcross = true;
#if defined(__AVX512F__)
  // 12 x 2 sums, 2 of B and one of A: 27 of 32 registers; with 14 rows A leaves the L1 cache.
  static constexpr int kRows = 12;
#else
  static constexpr int kRows = 6;  // 6 x 2 sums, 2 of B and one of A: 15 of 16
#endif
  // With kBlockWords words each at most a sixth of a core's L2 cache, in whole squares for packing.
  static constexpr int64_t kTaskRows[] = {80, 64, 48};

  // Few rows are shared evenly between calls: two of 8 rather than 12 and 4.
  explicit VectorKernel(int64_t rows) : rows_per_call_(ceil_div(rows, ceil_div(rows, kRows))) {}
  int64_t rows_per_call() const {
    return rows_per_call_;
  }
  void operator()(int64_t rows, const KernelCall<E>& call) const {
    call.across == 0 ? kernel_of<E, false, kRows>(rows, call) : kernel_of<E, true, kRows>(rows, call);
  }

 private:
  int64_t rows_per_call_;
};

// to[rows, columns] (+)= sums: what a kernel left in a buffer.
template <class Sum>
void store_sums(const Sum* sums, int64_t rows, int64_t columns, int64_t sums_stride, Sum* to, int64_t stride,
                bool add) {
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      const Sum value = sums[i * sums_stride + j];
      to[i * stride + j] = add ? to[i * stride + j] + value : value;
    }
  }
}

}  // namespace dlcm::cpu
