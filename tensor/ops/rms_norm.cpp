#include "tensor/ops/rms_norm.h"

#include <cmath>
#include <vector>

#include "tensor/dispatch.h"
#include "tensor/ops/output_dtype.h"
#include "tensor/parallel.h"
#include "tensor/profile.h"

namespace dlcm::cpu {
namespace {

// Rows whose contribution to dgain is summed before the ranges are added in order: a constant, so that the
// result does not depend on the number of threads.
constexpr int64_t kRowsPerPartial = 128;

template <class T, class Out>
void forward(const Tensor& x, const Tensor& gain, double epsilon, const Tensor& y, const Tensor& rstd) {
  const int64_t d = gain.numel();
  parallel_for(rstd.numel(), grain_for(d), [&](int64_t begin, int64_t end) {
    const T* g = gain.data<T>();
    for (int64_t row = begin; row < end; ++row) {
      const T* in = x.data<T>() + row * d;
      Out* out = y.data<Out>() + row * d;
      T squares = 0;
#pragma omp simd reduction(+ : squares)
      for (int64_t i = 0; i < d; ++i) squares += in[i] * in[i];
      const T scale = T{1} / std::sqrt(squares / static_cast<T>(d) + static_cast<T>(epsilon));
      rstd.data<T>()[row] = scale;
      for (int64_t i = 0; i < d; ++i) out[i] = Out(in[i] * scale * g[i]);
    }
  });
}

template <class T>
void backward_row(const T* dy, const T* x, const T* gain, T rstd, int64_t d, T* dx, T* dgain) {
  T dot = 0;
#pragma omp simd reduction(+ : dot)
  for (int64_t i = 0; i < d; ++i) dot += gain[i] * dy[i] * x[i];
  const T correction = dot * rstd * rstd / static_cast<T>(d);
  for (int64_t i = 0; i < d; ++i) {
    dx[i] = rstd * (gain[i] * dy[i] - x[i] * correction);
    dgain[i] += dy[i] * x[i] * rstd;
  }
}

template <class T>
void backward(const Tensor& dy, const Tensor& x, const Tensor& gain, const Tensor& rstd, const Tensor& dx,
              const Tensor& dgain) {
  const int64_t d = gain.numel();
  const int64_t rows = rstd.numel();
  const int64_t parts = (rows + kRowsPerPartial - 1) / kRowsPerPartial;
  const Tensor partial = Tensor::zeros({parts, d}, x.dtype());
  parallel_for(rows, kRowsPerPartial, [&](int64_t begin, int64_t end) {
    T* sums = partial.data<T>() + begin / kRowsPerPartial * d;
    for (int64_t row = begin; row < end; ++row) {
      backward_row(dy.data<T>() + row * d, x.data<T>() + row * d, gain.data<T>(), rstd.data<T>()[row], d,
                   dx.data<T>() + row * d, sums);
    }
  });
  dgain.fill(0);
  for (int64_t part = 0; part < parts; ++part) {
    const T* sums = partial.data<T>() + part * d;
    for (int64_t i = 0; i < d; ++i) dgain.data<T>()[i] += sums[i];
  }
}

void rms_norm_forward(const Tensor& x, const Tensor& gain, double epsilon, const Tensor& y,
                      const Tensor& rstd) {
  DLCM_FLOATING_OUTPUT(x.dtype(), y.dtype(), T, Out, forward<T, Out>(x, gain, epsilon, y, rstd));
}

void rms_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& gain, const Tensor& rstd,
                       const Tensor& dx, const Tensor& dgain) {
  DLCM_FLOATING(x.dtype(), T, backward<T>(dy, x, gain, rstd, dx, dgain));
}

}  // namespace
}  // namespace dlcm::cpu

namespace dlcm::ops {
namespace {

int64_t rows_of(const Tensor& x, const Tensor& gain) {
  DLCM_CHECK(x.rank() >= 1 && gain.rank() == 1 && gain.numel() > 0 && x.size(-1) == gain.numel(),
             "rms_norm: gain has shape ", gain.shape(), ", x has shape ", x.shape(),
             "; expected one gain per element of a row");
  DLCM_CHECK(x.dtype() == gain.dtype(), "rms_norm: x is ", x.dtype(), ", gain is ", gain.dtype());
  return x.numel() / gain.numel();
}

}  // namespace

RmsNorm rms_norm(const Tensor& x, const Tensor& gain, double epsilon, DType output) {
  const int64_t rows = rows_of(x, gain);
  check_output("rms_norm", x.dtype(), output);
  const ProfileScope profile("rms_norm", 4, x.numel());
  const RmsNorm result = {Tensor::empty(x.shape(), output, x.device()),
                          Tensor::empty({rows}, x.dtype(), x.device())};
  DLCM_DISPATCH(x.device(), rms_norm_forward(x, gain, epsilon, result.y, result.rstd));
  return result;
}

RmsNormGradients rms_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& gain,
                                   const Tensor& rstd) {
  DLCM_CHECK(dy.shape() == x.shape() && rstd.numel() == rows_of(x, gain), "rms_norm_backward: dy has shape ",
             dy.shape(), ", rstd ", rstd.shape(), ", x ", x.shape());
  const ProfileScope profile("rms_norm_backward", 10, x.numel());
  const RmsNormGradients result = {x.empty_like(), gain.empty_like()};
  DLCM_DISPATCH(x.device(), rms_norm_backward(dy, x, gain, rstd, result.dx, result.dgain));
  return result;
}

}  // namespace dlcm::ops
