// Product of small matrices that stand in a core's cache, for kernels that work in tiles:
//
//   c[i][lane] (= or +=) sum_k a(i, k) b[k][lane]        i < rows, k < depth, lane < lanes
//
// Elements of a are broadcast, so a may be any strided view, transposed or not, and is never packed; b and c
// have contiguous lanes, a multiple of kLaneMultiple of them. Each element is summed over k in order in one
// accumulator, whatever the vector width and the other sizes: its value depends on its row of a and its
// column of b alone.
//
// Operands of bf16 come in pairs along k (Bf16Pair; `depth` counts pairs) and are summed in float32, by the
// processor's instruction for it where there is one.
#pragma once

#include <cstdint>

#include "tensor/simd.h"

namespace dlcm::cpu {

#if defined(__AVX512F__)
inline constexpr int kBlockColumns = 4;  // vectors: 6 x 4 sums, 4 of b and one of a use 29 of 32 registers
#else
inline constexpr int kBlockColumns = 2;  // 15 of 16 registers
#endif
inline constexpr int kBlockRows = 6;

// a(i, k) = data[i row_stride + k column_stride].
template <class T>
struct StridedView {
  const T* data;
  int64_t row_stride;
  int64_t column_stride;

  StridedView transposed() const { return {data, column_stride, row_stride}; }
  StridedView below(int64_t rows) const { return {data + rows * row_stride, row_stride, column_stride}; }
};

enum class Store { overwrite, add };

namespace detail {

// How operands of units U are multiplied: a Factor holds a unit for each lane of a vector of sums.
template <class U>
struct Multiplier {
  using Sum = U;
  using Factor = typename Simd<U>::Vector;
  static Factor load(const U* from) { return Simd<U>::load(from); }
  static U broadcast(const U* from) { return *from; }
  static void add(typename Simd<U>::Vector& sum, U left, Factor right) { sum += left * right; }
};

template <>
struct Multiplier<Bf16Pair> {
  using Sum = float;
#if defined(__AVX512BF16__)
  using Factor = __m512bh;
  static Factor load(const Bf16Pair* from) {
    return reinterpret_cast<Factor>(_mm512_loadu_si512(from));
  }
  static Factor broadcast(const Bf16Pair* from) {
    int32_t word;
    std::memcpy(&word, from, sizeof(word));
    return reinterpret_cast<Factor>(_mm512_set1_epi32(word));
  }
  static void add(Simd<float>::Vector& sum, Factor left, Factor right) {
    sum = _mm512_dpbf16_ps(sum, left, right);
  }
#else
  struct Factor {
    Simd<float>::Vector first, second;
  };
  static Factor load(const Bf16Pair* from) {
    using Words = Simd<uint32_t>::Vector;
    Words words;
    std::memcpy(&words, from, sizeof(words));
    return {std::bit_cast<Simd<float>::Vector>(Words(words << 16)),
            std::bit_cast<Simd<float>::Vector>(Words(words & 0xffff0000u))};
  }
  static Factor broadcast(const Bf16Pair* from) {
    return {Simd<float>::all(static_cast<float>(from->first)),
            Simd<float>::all(static_cast<float>(from->second))};
  }
  static void add(Simd<float>::Vector& sum, Factor left, Factor right) {
    sum += left.second * right.second;
    sum += left.first * right.first;
  }
#endif
};

// Not inlined: among other code the sums no longer find room in the registers.
template <class U, int kRows, int kColumns, Store kStore>
[[gnu::noinline]] void block_product(StridedView<U> a, const U* b, int64_t b_stride, int64_t depth,
                                     typename Multiplier<U>::Sum* c, int64_t c_stride) {
  using M = Multiplier<U>;
  using V = Simd<typename M::Sum>;
  typename V::Vector sums[kRows][kColumns] = {};
  for (int64_t k = 0; k < depth; ++k) {
    typename M::Factor right[kColumns];
#pragma GCC unroll 4
    for (int j = 0; j < kColumns; ++j) right[j] = M::load(b + k * b_stride + j * V::kWidth);
    const U* left = a.data + k * a.column_stride;
#pragma GCC unroll 6
    for (int i = 0; i < kRows; ++i) {
      const auto factor = M::broadcast(left + i * a.row_stride);
#pragma GCC unroll 4
      for (int j = 0; j < kColumns; ++j) M::add(sums[i][j], factor, right[j]);
    }
  }
#pragma GCC unroll 6
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kColumns; ++j) {
      typename M::Sum* target = c + i * c_stride + j * V::kWidth;
      V::store(target, kStore == Store::add ? V::load(target) + sums[i][j] : sums[i][j]);
    }
  }
}

// The last rows, fewer than a block has.
template <class U, int kRows, int kColumns, Store kStore>
void last_rows(int64_t rows, StridedView<U> a, const U* b, int64_t b_stride, int64_t depth,
               typename Multiplier<U>::Sum* c, int64_t c_stride) {
  if constexpr (kRows > 0) {
    if (rows == kRows) {
      block_product<U, kRows, kColumns, kStore>(a, b, b_stride, depth, c, c_stride);
    } else {
      last_rows<U, kRows - 1, kColumns, kStore>(rows, a, b, b_stride, depth, c, c_stride);
    }
  }
}

// All rows of as many blocks of lanes as there are from `first` on; returns the first lane left over.
template <class U, int kColumns, Store kStore>
int64_t lane_blocks(int64_t first, int64_t rows, int64_t lanes, int64_t depth, StridedView<U> a, const U* b,
                    int64_t b_stride, typename Multiplier<U>::Sum* c, int64_t c_stride) {
  constexpr int64_t kLanes = kColumns * Simd<typename Multiplier<U>::Sum>::kWidth;
  for (; first + kLanes <= lanes; first += kLanes) {
    int64_t i = 0;
    for (; i + kBlockRows <= rows; i += kBlockRows) {
      block_product<U, kBlockRows, kColumns, kStore>(a.below(i), b + first, b_stride, depth,
                                                     c + i * c_stride + first, c_stride);
    }
    last_rows<U, kBlockRows - 1, kColumns, kStore>(rows - i, a.below(i), b + first, b_stride, depth,
                                                   c + i * c_stride + first, c_stride);
  }
  return first;
}

}  // namespace detail

// Rows of b are b_stride apart, those of c c_stride.
template <Store kStore, class U>
void tile_product(int64_t rows, int64_t lanes, int64_t depth, StridedView<U> a, const U* b, int64_t b_stride,
                  typename detail::Multiplier<U>::Sum* c, int64_t c_stride) {
  const auto blocks = [&]<int kColumns>(int64_t first) {
    return detail::lane_blocks<U, kColumns, kStore>(first, rows, lanes, depth, a, b, b_stride, c, c_stride);
  };
  int64_t lane = blocks.template operator()<kBlockColumns>(0);
  if constexpr (kBlockColumns > 3) {
    lane = blocks.template operator()<3>(lane);
    lane = blocks.template operator()<2>(lane);
  }
  blocks.template operator()<1>(lane);
}

// b is [depth, lanes], c is [rows, lanes].
template <Store kStore, class U>
void tile_product(int64_t rows, int64_t lanes, int64_t depth, StridedView<U> a, const U* b,
                  typename detail::Multiplier<U>::Sum* c) {
  tile_product<kStore>(rows, lanes, depth, a, b, lanes, c, lanes);
}

}  // namespace dlcm::cpu
