// Rows of RMSNorm for the operators that contain one: rms_norm, residual_rms_norm, rms_norm_rotary. Sums are
// in T, in an order that depends on the length of a row alone. Results may be written over the gradient that
// is read.
#pragma once

#include <cmath>

#include "tensor/ops/output_dtype.h"
#include "tensor/parallel.h"
#include "tensor/tensor.h"

namespace dlcm::cpu {

// Rows whose contribution to dgain is summed before the ranges are added in order: a constant, so that the
// result does not depend on the number of threads.
inline constexpr int64_t kNormRowsPerPartial = 128;

// 1 / sqrt(mean of squares + epsilon), from the sum of squares of d elements.
template <class T>
T rstd_of(T squares, int64_t d, double epsilon) {
  return T{1} / std::sqrt(squares / static_cast<T>(d) + static_cast<T>(epsilon));
}

template <class T>
T row_rstd(const T* x, int64_t d, double epsilon) {
  T squares = 0;
#pragma omp simd reduction(+ : squares)
  for (int64_t i = 0; i < d; ++i) squares += x[i] * x[i];
  return rstd_of(squares, d, epsilon);
}

// y = x rstd gain
template <class T, class Out>
void normalize_row(const T* x, const T* gain, T rstd, int64_t d, Out* y) {
#pragma omp simd
  for (int64_t i = 0; i < d; ++i) put(x[i] * rstd * gain[i], y[i]);
}

// rstd^2 mean(gain dy x): what x is multiplied with in dx = rstd (gain dy - x correction).
template <class T>
T row_correction(const T* dy, const T* x, const T* gain, T rstd, int64_t d) {
  T dot = 0;
#pragma omp simd reduction(+ : dot)
  for (int64_t i = 0; i < d; ++i) dot += gain[i] * dy[i] * x[i];
  return dot * rstd * rstd / static_cast<T>(d);
}

template <class T>
void norm_backward_row(const T* dy, const T* x, const T* gain, T rstd, int64_t d, T* dx, T* dgain) {
  const T correction = row_correction(dy, x, gain, rstd, d);
#pragma omp simd
  for (int64_t i = 0; i < d; ++i) {
    const T gradient = dy[i];
    dx[i] = rstd * (gain[i] * gradient - x[i] * correction);
    dgain[i] += gradient * x[i] * rstd;
  }
}

// Calls body(begin, end, sums) for ranges of rows, sums [d] being zeros that take the range's part of dgain;
// then adds the parts in order.
template <class T, class Body>
void sum_gain_gradient(int64_t rows, const Tensor& dgain, const Body& body) {
  const int64_t d = dgain.numel();
  const int64_t parts = (rows + kNormRowsPerPartial - 1) / kNormRowsPerPartial;
  const Tensor partial = Tensor::zeros({parts, d}, dgain.dtype());
  parallel_for(rows, kNormRowsPerPartial, [&](int64_t begin, int64_t end) {
    body(begin, end, partial.data<T>() + begin / kNormRowsPerPartial * d);
  });
  dgain.fill(0);
  T* sum = dgain.data<T>();
  for (int64_t part = 0; part < parts; ++part) {
    const T* sums = partial.data<T>() + part * d;
    for (int64_t i = 0; i < d; ++i) sum[i] += sums[i];
  }
}

}  // namespace dlcm::cpu

namespace dlcm::ops {

// Rows of x; throws Error naming the operator where gain does not have an element for each of a row.
inline int64_t norm_rows(const char* name, const Tensor& x, const Tensor& gain) {
  DLCM_CHECK(x.rank() >= 1 && gain.rank() == 1 && gain.numel() > 0 && x.size(-1) == gain.numel(), name,
             ": gain has shape ", gain.shape(), ", x has shape ", x.shape(),
             "; expected one gain per element of a row");
  DLCM_CHECK(x.dtype() == gain.dtype(), name, ": x is ", x.dtype(), ", gain is ", gain.dtype());
  return x.numel() / gain.numel();
}

}  // namespace dlcm::ops
