#include "tensor/ops/matmul.h"

#include <algorithm>
#include <cstring>

#include "tensor/dispatch.h"
#include "tensor/parallel.h"
#include "tensor/profile.h"
#include "tensor/tile_product.h"

namespace dlcm::cpu {
namespace {

// Block of the row kernel: rows x columns of sums, each a vector of partial sums over k, stay in registers.
constexpr int kRowBlock = 4;
constexpr int kColumnBlock = 4;

template <class T>
T sum_of_lanes(typename detail::Simd<T>::Vector vector) {
  T lanes[detail::Simd<T>::kWidth];
  detail::Simd<T>::store(lanes, vector);
  for (int width = detail::Simd<T>::kWidth / 2; width > 0; width /= 2) {
    for (int j = 0; j < width; ++j) lanes[j] += lanes[j + width];
  }
  return lanes[0];
}

// The elements from k on, fewer than a vector has, then zeros.
template <class T>
typename detail::Simd<T>::Vector load_last(const T* from, int64_t count) {
  typename detail::Simd<T>::Vector vector = {};
  std::memcpy(&vector, from, static_cast<size_t>(count) * sizeof(T));
  return vector;
}

// c[kRows, kColumns] from rows of a and b. The sum of an element is over k in one vector, then over its
// lanes: the same whatever block it is in.
template <class T, int kRows, int kColumns>
void row_block(const Gemm<T>& g, const T* a, const T* b, T* c) {
  using V = detail::Simd<T>;
  typename V::Vector sums[kRows][kColumns] = {};
  const auto add = [&](const auto& load) {
    typename V::Vector left[kRows];
#pragma GCC unroll 4
    for (int i = 0; i < kRows; ++i) left[i] = load(a + i * g.lda);
#pragma GCC unroll 4
    for (int j = 0; j < kColumns; ++j) {
      const typename V::Vector right = load(b + j * g.ldb);
#pragma GCC unroll 4
      for (int i = 0; i < kRows; ++i) sums[i][j] += left[i] * right;
    }
  };
  int64_t k = 0;
  for (; k + V::kWidth <= g.k; k += V::kWidth) {
    add([k](const T* row) { return V::load(row + k); });
  }
  if (k < g.k) add([k, &g](const T* row) { return load_last(row + k, g.k - k); });
#pragma GCC unroll 4
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kColumns; ++j) {
      T& target = c[i * g.ldc + j];
      const T value = sum_of_lanes<T>(sums[i][j]);
      target = g.accumulate ? target + value : value;
    }
  }
}

// All rows of kColumns columns; the last rows are fewer than a block has.
template <class T, int kRows, int kColumns>
void row_blocks(const Gemm<T>& g, int64_t row, int64_t column) {
  for (; row + kRows <= g.m; row += kRows) {
    row_block<T, kRows, kColumns>(g, g.a + row * g.lda, g.b + column * g.ldb, g.c + row * g.ldc + column);
  }
  if constexpr (kRows > 1) {
    if (row < g.m) row_blocks<T, kRows - 1, kColumns>(g, row, column);
  }
}

template <class T>
void row_gemm_of(const Gemm<T>& g) {
  constexpr int64_t kWorthAThread = 1 << 20;  // multiplications; waking a thread has its price
  parallel_for(g.n, grain_for(g.k * g.m, kWorthAThread), [&](int64_t begin, int64_t end) {
    int64_t column = begin;
    for (; column + kColumnBlock <= end; column += kColumnBlock) {
      row_blocks<T, kRowBlock, kColumnBlock>(g, 0, column);
    }
    for (; column < end; ++column) row_blocks<T, kRowBlock, 1>(g, 0, column);
  });
}

// Tiles of the result that the threads share. The libraries would share a product their own way, splitting
// the sums over k where there are more threads: the bits would depend on their number. The size of a tile
// depends on the shape alone; each is one single-threaded call.
struct Tiling {
  int64_t rows, columns;  // of a tile
  int64_t down, across;   // tiles
};

Tiling tiling_of(int64_t m, int64_t n, int64_t k) {
  constexpr int64_t kTiles = 32;  // enough for the threads of one machine
  constexpr int64_t kRows = 64;   // below these, packing the operands costs too much of the time
  constexpr int64_t kColumns = 128;
  constexpr int64_t kWorthAThread = 1 << 19;  // multiplications
  Tiling tiling = {m, n, 1, 1};
  while (tiling.down * tiling.across < kTiles && tiling.rows * tiling.columns * k > 2 * kWorthAThread) {
    const bool split_rows = tiling.rows * kColumns >= tiling.columns * kRows;
    int64_t& size = split_rows ? tiling.rows : tiling.columns;
    if (size < 2 * (split_rows ? kRows : kColumns)) break;
    size = (size / 2 + 15) / 16 * 16;
    tiling.down = (m + tiling.rows - 1) / tiling.rows;
    tiling.across = (n + tiling.columns - 1) / tiling.columns;
  }
  return tiling;
}

// Engine: a product in the calling thread.
template <class T, class Engine>
void tiled_gemm(const Gemm<T>& g, const Engine& engine) {
  const Tiling tiling = tiling_of(g.m, g.n, g.k);
  parallel_for(tiling.down * tiling.across, 1, [&](int64_t tile, int64_t) {
    const int64_t row = tile / tiling.across * tiling.rows;
    const int64_t column = tile % tiling.across * tiling.columns;
    Gemm<T> part = g;
    part.m = std::min(tiling.rows, g.m - row);
    part.n = std::min(tiling.columns, g.n - column);
    part.a += g.transpose_a ? row : row * g.lda;
    part.b += g.transpose_b ? column * g.ldb : column;
    part.c += row * g.ldc + column;
    engine(part);
  });
}

template <class T>
void matmul_forward_of(const Tensor& a, bool ta, const Tensor& b, bool tb, const Tensor& c, bool accumulate) {
  const int64_t k = a.size(ta ? 0 : 1);
  const Gemm<T> product = {ta,        tb,          c.size(0), c.size(1),   k,         a.data<T>(),
                           a.size(1), b.data<T>(), b.size(1), c.data<T>(), c.size(1), accumulate};
  if (product.m == 0 || product.n == 0) return;
  if (k == 0) {
    if (!accumulate) c.fill(0);
  } else if (!ta && tb && product.m <= ops::kSmallRows) {
    row_gemm(product);
  } else {
    tiled_gemm(product, [](const Gemm<T>& part) { library_gemm(part); });
  }
}

void matmul_forward(const Tensor& a, bool ta, const Tensor& b, bool tb, const Tensor& c, bool accumulate) {
  DLCM_FLOATING(a.dtype(), T, matmul_forward_of<T>(a, ta, b, tb, c, accumulate));
}

}  // namespace

void tiled_eigen_gemm(const Gemm<float>& product) {
  tiled_gemm(product, [](const Gemm<float>& part) { eigen_gemm(part); });
}

void row_gemm(const Gemm<float>& product) {
  row_gemm_of(product);
}
void row_gemm(const Gemm<double>& product) {
  row_gemm_of(product);
}

}  // namespace dlcm::cpu

namespace dlcm::ops {
namespace {

Tensor as_rows(const Tensor& x) {
  DLCM_CHECK(x.rank() >= 1, "linear: x has no dimensions");
  const int64_t columns = x.size(-1);
  int64_t rows = 1;
  for (int64_t axis = 0; axis + 1 < x.rank(); ++axis) rows *= x.size(axis);
  return x.view({rows, columns});
}

Shape with_last(const Shape& shape, int64_t last) {
  std::vector<int64_t> sizes = shape.sizes();
  sizes.back() = last;
  return Shape(std::move(sizes));
}

}  // namespace

void matmul_into(const Tensor& a, Transpose transpose_a, const Tensor& b, Transpose transpose_b,
                 const Tensor& c, bool accumulate) {
  const bool ta = transpose_a == Transpose::yes;
  const bool tb = transpose_b == Transpose::yes;
  DLCM_CHECK(a.rank() == 2 && b.rank() == 2 && c.rank() == 2, "matmul: operands ", a.shape(), ", ", b.shape(),
             ", result ", c.shape(), "; expected rank 2");
  DLCM_CHECK(a.dtype() == b.dtype() && a.dtype() == c.dtype(), "matmul: dtypes ", a.dtype(), ", ", b.dtype(),
             ", ", c.dtype(), " differ");
  const int64_t m = a.size(ta ? 1 : 0);
  const int64_t k = a.size(ta ? 0 : 1);
  const int64_t n = b.size(tb ? 0 : 1);
  DLCM_CHECK(b.size(tb ? 1 : 0) == k, "matmul: inner sizes differ: ", a.shape(), ta ? "^T" : "", " times ",
             b.shape(), tb ? "^T" : "");
  DLCM_CHECK(c.size(0) == m && c.size(1) == n, "matmul: result has shape ", c.shape(), ", expected ",
             Shape{m, n});
  const ProfileScope profile("matmul",
                             2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k));
  DLCM_DISPATCH_CPU(a.device(), matmul_forward(a, ta, b, tb, c, accumulate));
}

Tensor matmul(const Tensor& a, Transpose transpose_a, const Tensor& b, Transpose transpose_b) {
  DLCM_CHECK(a.rank() == 2 && b.rank() == 2, "matmul: operands ", a.shape(), " and ", b.shape(),
             "; expected rank 2");
  const int64_t m = a.size(transpose_a == Transpose::yes ? 1 : 0);
  const int64_t n = b.size(transpose_b == Transpose::yes ? 0 : 1);
  const AllocationScope made_by("matmul");
  const Tensor c = Tensor::empty({m, n}, a.dtype(), a.device());
  matmul_into(a, transpose_a, b, transpose_b, c, false);
  return c;
}

Tensor linear(const Tensor& x, const Tensor& weight) {
  DLCM_CHECK(weight.rank() == 2 && x.rank() >= 1 && x.size(-1) == weight.size(1), "linear: x has shape ",
             x.shape(), ", weight ", weight.shape(), "; expected rows of x as long as those of the weight");
  return matmul(as_rows(x), Transpose::no, weight, Transpose::yes).view(with_last(x.shape(), weight.size(0)));
}

Tensor linear_backward_input(const Tensor& dy, const Tensor& weight) {
  return matmul(as_rows(dy), Transpose::no, weight, Transpose::no)
      .view(with_last(dy.shape(), weight.size(1)));
}

Tensor linear_backward_weight(const Tensor& dy, const Tensor& x) {
  return matmul(as_rows(dy), Transpose::yes, as_rows(x), Transpose::no);
}

}  // namespace dlcm::ops
