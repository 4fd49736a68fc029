#include "tensor/ops/residual_rms_norm.h"

#include "tensor/ops/output_dtype.h"
#include "tensor/ops/rms_norm_rows.h"
#include "tensor/profile.h"

namespace dlcm::cpu {
namespace {

// sum = x + delta; returns rstd of the sum.
template <class T>
T add_row(const T* x, const T* delta, int64_t d, double epsilon, T* sum) {
  T squares = 0;
#pragma omp simd reduction(+ : squares)
  for (int64_t i = 0; i < d; ++i) {
    sum[i] = x[i] + delta[i];
    squares += sum[i] * sum[i];
  }
  return rstd_of(squares, d, epsilon);
}

template <class T, class Out>
void forward(const Tensor& x, const Tensor& delta, const Tensor& gain, double epsilon,
             const ops::ResidualRmsNorm& result) {
  const int64_t d = gain.numel();
  parallel_for(result.rstd.numel(), grain_for(d), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      T* sum = result.sum.data<T>() + row * d;
      const T rstd = add_row(x.data<T>() + row * d, delta.data<T>() + row * d, d, epsilon, sum);
      result.rstd.data<T>()[row] = rstd;
      normalize_row(sum, gain.data<T>(), rstd, d, result.y.data<Out>() + row * d);
    }
  });
}

template <class T>
void backward_row(const T* d_sum, const T* dy, const T* sum, const T* gain, T rstd, int64_t d, T* dx,
                  T* dgain) {
  const T correction = row_correction(dy, sum, gain, rstd, d);
#pragma omp simd
  for (int64_t i = 0; i < d; ++i) {
    dx[i] = d_sum[i] + rstd * (gain[i] * dy[i] - sum[i] * correction);
    dgain[i] += dy[i] * sum[i] * rstd;
  }
}

template <class T>
void backward(const Tensor& d_sum, const Tensor& dy, const Tensor& sum, const Tensor& gain,
              const Tensor& rstd, const ops::RmsNormGradients& result) {
  const int64_t d = gain.numel();
  sum_gain_gradient<T>(rstd.numel(), result.dgain, [&](int64_t begin, int64_t end, T* dgain) {
    for (int64_t row = begin; row < end; ++row) {
      backward_row(d_sum.data<T>() + row * d, dy.data<T>() + row * d, sum.data<T>() + row * d, gain.data<T>(),
                   rstd.data<T>()[row], d, result.dx.data<T>() + row * d, dgain);
    }
  });
}

void residual_rms_norm_forward(const Tensor& x, const Tensor& delta, const Tensor& gain, double epsilon,
                               const ops::ResidualRmsNorm& result) {
  DLCM_FLOATING_OUTPUT(x.dtype(), result.y.dtype(), T, Out, forward<T, Out>(x, delta, gain, epsilon, result));
}

void residual_rms_norm_backward(const Tensor& d_sum, const Tensor& dy, const Tensor& sum, const Tensor& gain,
                                const Tensor& rstd, const ops::RmsNormGradients& result) {
  DLCM_FLOATING(sum.dtype(), T, backward<T>(d_sum, dy, sum, gain, rstd, result));
}

}  // namespace
}  // namespace dlcm::cpu

namespace dlcm::ops {

ResidualRmsNorm residual_rms_norm(const Tensor& x, const Tensor& delta, const Tensor& gain, double epsilon,
                                  DType output) {
  if (!delta.defined()) {
    const RmsNorm normalized = rms_norm(x, gain, epsilon, output);
    return {x, normalized.y, normalized.rstd};
  }
  const int64_t rows = norm_rows("residual_rms_norm", x, gain);
  check_output("residual_rms_norm", x.dtype(), output);
  DLCM_CHECK(delta.shape() == x.shape() && delta.dtype() == x.dtype(), "residual_rms_norm: x has shape ",
             x.shape(), " of ", x.dtype(), ", delta ", delta.shape(), " of ", delta.dtype());
  const ProfileScope profile("residual_rms_norm", 5, x.numel());
  const ResidualRmsNorm result = {x.empty_like(), Tensor::empty(x.shape(), output, x.device()),
                                  Tensor::empty({rows}, x.dtype(), x.device())};
  DLCM_DISPATCH_CPU(x.device(), residual_rms_norm_forward(x, delta, gain, epsilon, result));
  return result;
}

RmsNormGradients residual_rms_norm_backward(Tensor&& d_sum, const Tensor& dy, const Tensor& sum,
                                            const Tensor& gain, const Tensor& rstd) {
  if (!d_sum.defined()) return rms_norm_backward(dy, sum, gain, rstd);
  DLCM_CHECK(d_sum.shape() == sum.shape() && dy.shape() == sum.shape() &&
                 rstd.numel() == norm_rows("residual_rms_norm_backward", sum, gain),
             "residual_rms_norm_backward: d_sum has shape ", d_sum.shape(), ", dy ", dy.shape(), ", rstd ",
             rstd.shape(), ", sum ", sum.shape());
  const ProfileScope profile("residual_rms_norm_backward", 11, sum.numel());
  const RmsNormGradients result = {d_sum.unique() ? d_sum : d_sum.empty_like(), gain.empty_like()};
  DLCM_DISPATCH_CPU(sum.device(), residual_rms_norm_backward(d_sum, dy, sum, gain, rstd, result));
  return result;
}

}  // namespace dlcm::ops
