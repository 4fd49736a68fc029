#include "tensor/ops/gather_rows.h"

#include <algorithm>
#include <vector>

#include "tensor/dispatch.h"
#include "tensor/parallel.h"
#include "tensor/profile.h"

namespace dlcm::cpu {
namespace {

template <class T>
void forward(const Tensor& x, const Tensor& index, const Tensor& y) {
  const int64_t rows = index.numel();
  const int64_t d = y.numel() / rows;
  parallel_for(rows, grain_for(d), [&](int64_t begin, int64_t end) {
    const int32_t* from = index.data<int32_t>();
    for (int64_t i = begin; i < end; ++i) {
      std::copy_n(x.data<T>() + from[i] * d, d, y.data<T>() + i * d);
    }
  });
}

// Each range of columns goes through all rows in their order: the sums do not depend on the threads, and no
// two threads write to one element.
template <class T>
void backward(const Tensor& dy, const Tensor& index, const Tensor& dx) {
  constexpr int64_t kFewestColumns = 64;  // a few cache lines of each row
  const int64_t rows = index.numel();
  const int64_t d = dy.numel() / rows;
  parallel_for(d, std::max(kFewestColumns, grain_for(rows)), [&](int64_t begin, int64_t end) {
    const int32_t* to = index.data<int32_t>();
    for (int64_t i = 0; i < rows; ++i) {
      const T* in = dy.data<T>() + i * d;
      T* out = dx.data<T>() + to[i] * d;
#pragma omp simd
      for (int64_t column = begin; column < end; ++column) out[column] += in[column];
    }
  });
}

}  // namespace

void gather_rows_forward(const Tensor& x, const Tensor& index, const Tensor& y) {
  if (y.numel() == 0) return;
  DLCM_FLOATING(x.dtype(), T, forward<T>(x, index, y));
}

void gather_rows_backward(const Tensor& dy, const Tensor& index, const Tensor& dx) {
  dx.fill(0);
  if (dy.numel() == 0) return;
  DLCM_FLOATING(dy.dtype(), T, backward<T>(dy, index, dx));
}

}  // namespace dlcm::cpu

namespace dlcm::ops {
namespace {

void check_index(const char* name, const Tensor& index, int64_t rows) {
  DLCM_CHECK(index.rank() == 1, name, ": index has shape ", index.shape(), ", expected rank 1");
  const int32_t* values = index.data<int32_t>();
  for (int64_t i = 0; i < index.numel(); ++i) {
    DLCM_CHECK(values[i] >= 0 && values[i] < rows, name, ": index ", i, " is ", values[i], ", x has ", rows,
               " rows");
  }
}

Shape with_rows(const Shape& shape, int64_t rows) {
  std::vector<int64_t> sizes = shape.sizes();
  sizes[0] = rows;
  return Shape(std::move(sizes));
}

}  // namespace

Tensor gather_rows(const Tensor& x, const Tensor& index) {
  DLCM_CHECK(x.rank() >= 1, "gather_rows: x has no rows");
  check_index("gather_rows", index, x.size(0));
  const ProfileScope profile("gather_rows");
  const Tensor y = Tensor::empty(with_rows(x.shape(), index.numel()), x.dtype(), x.device());
  DLCM_DISPATCH_CPU(x.device(), gather_rows_forward(x, index, y));
  return y;
}

Tensor gather_rows_backward(const Tensor& dy, const Tensor& index, int64_t rows) {
  check_index("gather_rows_backward", index, rows);
  DLCM_CHECK(dy.rank() >= 1 && dy.size(0) == index.numel(), "gather_rows_backward: dy has shape ", dy.shape(),
             ", there are ", index.numel(), " indices");
  const ProfileScope profile("gather_rows_backward", 1, dy.numel());
  const Tensor dx = Tensor::empty(with_rows(dy.shape(), rows), dy.dtype(), dy.device());
  DLCM_DISPATCH_CPU(dy.device(), gather_rows_backward(dy, index, dx));
  return dx;
}

}  // namespace dlcm::ops
