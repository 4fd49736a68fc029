#include "tensor/ops/matmul.h"

#include <algorithm>

#include "tensor/dispatch.h"
#include "tensor/parallel.h"
#include "tensor/profile.h"
#include "tensor/vector_math.h"

namespace dlcm::cpu {
namespace {

template <class T>
void row_gemm_of(const Gemm<T>& g) {
  parallel_for(g.n, grain_for(g.k * g.m, 65536), [&](int64_t begin, int64_t end) {
    for (int64_t column = begin; column < end; ++column) {
      const T* weight = g.b + column * g.ldb;
      for (int64_t row = 0; row < g.m; ++row) {
        const T value = dot_of(g.a + row * g.lda, weight, g.k);
        T& target = g.c[row * g.ldc + column];
        target = g.accumulate ? target + value : value;
      }
    }
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
