#include "tensor/ops/softmax.h"

#include <cmath>
#include <limits>

#include "tensor/dispatch.h"
#include "tensor/parallel.h"
#include "tensor/profile.h"
#include "tensor/vector_math.h"

namespace dlcm::cpu {
namespace {

template <class T>
void forward_row(const T* x, int64_t n, T* y) {
  const T largest = max_of(x, n);
  // In a row of nothing but -inf, -inf - -inf would be NaN; with 0 in its place every exponential is 0.
  const T shift = largest == -std::numeric_limits<T>::infinity() ? T{0} : largest;
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) {
    y[i] = fast_exp(x[i] - shift);
    sum += y[i];
  }
  const T scale = sum == T{0} ? T{0} : T{1} / sum;  // a NaN in the row makes sum and so the whole row NaN
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] *= scale;
}

template <class T>
void forward(const Tensor& x, const Tensor& y) {
  const int64_t n = x.size(-1);
  parallel_for(x.numel() / n, grain_for(n), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) forward_row(x.data<T>() + row * n, n, y.data<T>() + row * n);
  });
}

template <class T>
void backward_row(const T* dy, const T* y, int64_t n, T* dx) {
  const T dot = dot_of(dy, y, n);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) dx[i] = y[i] * (dy[i] - dot);
}

template <class T>
void backward(const Tensor& dy, const Tensor& y, const Tensor& dx) {
  const int64_t n = y.size(-1);
  parallel_for(y.numel() / n, grain_for(n), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      backward_row(dy.data<T>() + row * n, y.data<T>() + row * n, n, dx.data<T>() + row * n);
    }
  });
}

void softmax_forward(const Tensor& x, const Tensor& y) {
  DLCM_FLOATING(x.dtype(), T, forward<T>(x, y));
}

void softmax_backward(const Tensor& dy, const Tensor& y, const Tensor& dx) {
  DLCM_FLOATING(y.dtype(), T, backward<T>(dy, y, dx));
}

}  // namespace
}  // namespace dlcm::cpu

namespace dlcm::ops {

Tensor softmax(const Tensor& x) {
  DLCM_CHECK(x.rank() >= 1, "softmax: x has no dimensions; expected rows to normalise");
  const ProfileScope profile("softmax", 5, x.numel());
  const Tensor y = x.empty_like();
  if (y.numel() == 0) return y;
  DLCM_DISPATCH_CPU(x.device(), softmax_forward(x, y));
  return y;
}

Tensor softmax_backward(const Tensor& dy, const Tensor& y) {
  DLCM_CHECK(dy.shape() == y.shape() && dy.dtype() == y.dtype(), "softmax_backward: dy has shape ",
             dy.shape(), " of ", dy.dtype(), ", y ", y.shape(), " of ", y.dtype());
  const ProfileScope profile("softmax_backward", 4, y.numel());
  const Tensor dx = y.empty_like();
  if (dx.numel() == 0) return dx;
  DLCM_DISPATCH_CPU(y.device(), softmax_backward(dy, y, dx));
  return dx;
}

}  // namespace dlcm::ops
