// Product of small matrices that stand in a core's cache, for kernels that work in tiles:
//
//   c[i][lane] (= or +=) sum_k a(i, k) b[k][lane]        i < rows, k < depth, lane < lanes
//
// Elements of a are broadcast, so a may be any strided view, transposed or not, and is never packed; b and c
// have contiguous lanes, a multiple of kLaneMultiple of them. Each element is summed over k in order in one
// accumulator, whatever the vector width and the other sizes: its value depends on its row of a and its
// column of b alone.
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

// Not inlined: among other code the sums no longer find room in the registers.
template <class T, int kRows, int kColumns, Store kStore>
[[gnu::noinline]] void block_product(StridedView<T> a, const T* b, int64_t b_stride, int64_t depth, T* c,
                                     int64_t c_stride) {
  using V = Simd<T>;
  typename V::Vector sums[kRows][kColumns] = {};
  for (int64_t k = 0; k < depth; ++k) {
    typename V::Vector right[kColumns];
#pragma GCC unroll 4
    for (int j = 0; j < kColumns; ++j) right[j] = V::load(b + k * b_stride + j * V::kWidth);
    const T* left = a.data + k * a.column_stride;
#pragma GCC unroll 6
    for (int i = 0; i < kRows; ++i) {
      const T factor = left[i * a.row_stride];
#pragma GCC unroll 4
      for (int j = 0; j < kColumns; ++j) sums[i][j] += factor * right[j];
    }
  }
#pragma GCC unroll 6
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kColumns; ++j) {
      T* target = c + i * c_stride + j * V::kWidth;
      V::store(target, kStore == Store::add ? V::load(target) + sums[i][j] : sums[i][j]);
    }
  }
}

// The last rows, fewer than a block has.
template <class T, int kRows, int kColumns, Store kStore>
void last_rows(int64_t rows, StridedView<T> a, const T* b, int64_t b_stride, int64_t depth, T* c,
               int64_t c_stride) {
  if constexpr (kRows > 0) {
    if (rows == kRows) {
      block_product<T, kRows, kColumns, kStore>(a, b, b_stride, depth, c, c_stride);
    } else {
      last_rows<T, kRows - 1, kColumns, kStore>(rows, a, b, b_stride, depth, c, c_stride);
    }
  }
}

// All rows of as many blocks of lanes as there are from `first` on; returns the first lane left over.
template <class T, int kColumns, Store kStore>
int64_t lane_blocks(int64_t first, int64_t rows, int64_t lanes, int64_t depth, StridedView<T> a, const T* b,
                    int64_t b_stride, T* c, int64_t c_stride) {
  constexpr int64_t kLanes = kColumns * Simd<T>::kWidth;
  for (; first + kLanes <= lanes; first += kLanes) {
    int64_t i = 0;
    for (; i + kBlockRows <= rows; i += kBlockRows) {
      block_product<T, kBlockRows, kColumns, kStore>(a.below(i), b + first, b_stride, depth,
                                                     c + i * c_stride + first, c_stride);
    }
    last_rows<T, kBlockRows - 1, kColumns, kStore>(rows - i, a.below(i), b + first, b_stride, depth,
                                                   c + i * c_stride + first, c_stride);
  }
  return first;
}

}  // namespace detail

// Rows of b are b_stride apart, those of c c_stride.
template <Store kStore, class T>
void tile_product(int64_t rows, int64_t lanes, int64_t depth, StridedView<T> a, const T* b, int64_t b_stride,
                  T* c, int64_t c_stride) {
  const auto blocks = [&]<int kColumns>(int64_t first) {
    return detail::lane_blocks<T, kColumns, kStore>(first, rows, lanes, depth, a, b, b_stride, c, c_stride);
  };
  int64_t lane = blocks.template operator()<kBlockColumns>(0);
  if constexpr (kBlockColumns > 3) {
    lane = blocks.template operator()<3>(lane);
    lane = blocks.template operator()<2>(lane);
  }
  blocks.template operator()<1>(lane);
}

// b is [depth, lanes], c is [rows, lanes].
template <Store kStore, class T>
void tile_product(int64_t rows, int64_t lanes, int64_t depth, StridedView<T> a, const T* b, T* c) {
  tile_product<kStore>(rows, lanes, depth, a, b, lanes, c, lanes);
}

}  // namespace dlcm::cpu
