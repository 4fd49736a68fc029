#include "tensor/ops/rms_norm.h"

#include "tensor/dispatch.h"
#include "tensor/ops/output_dtype.h"
#include "tensor/ops/rms_norm_rows.h"
#include "tensor/parallel.h"
#include "tensor/profile.h"

namespace dlcm::cpu {
namespace {

template <class T, class Out>
void forward(const Tensor& x, const Tensor& gain, double epsilon, const Tensor& y, const Tensor& rstd) {
  const int64_t d = gain.numel();
  parallel_for(rstd.numel(), grain_for(d), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T* in = x.data<T>() + row * d;
      const T scale = row_rstd(in, d, epsilon);
      rstd.data<T>()[row] = scale;
      normalize_row(in, gain.data<T>(), scale, d, y.data<Out>() + row * d);
    }
  });
}

template <class T, class Out>
void again(const Tensor& x, const Tensor& gain, const Tensor& rstd, const Tensor& y) {
  const int64_t d = gain.numel();
  parallel_for(rstd.numel(), grain_for(d), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      normalize_row(x.data<T>() + row * d, gain.data<T>(), rstd.data<T>()[row], d, y.data<Out>() + row * d);
    }
  });
}

template <class T>
void backward(const Tensor& dy, const Tensor& x, const Tensor& gain, const Tensor& rstd, const Tensor& dx,
              const Tensor& dgain) {
  const int64_t d = gain.numel();
  sum_gain_gradient<T>(rstd.numel(), dgain, [&](int64_t begin, int64_t end, T* sums) {
    for (int64_t row = begin; row < end; ++row) {
      norm_backward_row(dy.data<T>() + row * d, x.data<T>() + row * d, gain.data<T>(), rstd.data<T>()[row], d,
                        dx.data<T>() + row * d, sums);
    }
  });
}

void rms_norm_forward(const Tensor& x, const Tensor& gain, double epsilon, const Tensor& y,
                      const Tensor& rstd) {
  DLCM_FLOATING_OUTPUT(x.dtype(), y.dtype(), T, Out, forward<T, Out>(x, gain, epsilon, y, rstd));
}

void rms_norm_again(const Tensor& x, const Tensor& gain, const Tensor& rstd, const Tensor& y) {
  DLCM_FLOATING_OUTPUT(x.dtype(), y.dtype(), T, Out, again<T, Out>(x, gain, rstd, y));
}

void rms_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& gain, const Tensor& rstd,
                       const Tensor& dx, const Tensor& dgain) {
  DLCM_FLOATING(x.dtype(), T, backward<T>(dy, x, gain, rstd, dx, dgain));
}

}  // namespace
}  // namespace dlcm::cpu

namespace dlcm::ops {

RmsNorm rms_norm(const Tensor& x, const Tensor& gain, double epsilon, DType output) {
  const int64_t rows = norm_rows("rms_norm", x, gain);
  check_output("rms_norm", x.dtype(), output);
  const ProfileScope profile("rms_norm", 4, x.numel());
  const RmsNorm result = {Tensor::empty(x.shape(), output, x.device()),
                          Tensor::empty({rows}, x.dtype(), x.device())};
  DLCM_DISPATCH(x.device(), rms_norm_forward(x, gain, epsilon, result.y, result.rstd));
  return result;
}

Tensor rms_norm_again(const Tensor& x, const Tensor& gain, const Tensor& rstd, DType output) {
  DLCM_CHECK(rstd.numel() == norm_rows("rms_norm_again", x, gain), "rms_norm_again: rstd has shape ",
             rstd.shape(), ", x ", x.shape());
  check_output("rms_norm_again", x.dtype(), output);
  const ProfileScope profile("rms_norm_again", 2, x.numel());
  const Tensor y = Tensor::empty(x.shape(), output, x.device());
  DLCM_DISPATCH_CPU(x.device(), rms_norm_again(x, gain, rstd, y));
  return y;
}

RmsNormGradients rms_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& gain,
                                   const Tensor& rstd) {
  DLCM_CHECK(dy.shape() == x.shape() && rstd.numel() == norm_rows("rms_norm", x, gain),
             "rms_norm_backward: dy has shape ", dy.shape(), ", rstd ", rstd.shape(), ", x ", x.shape());
  const ProfileScope profile("rms_norm_backward", 10, x.numel());
  const RmsNormGradients result = {x.empty_like(), gain.empty_like()};
  DLCM_DISPATCH(x.device(), rms_norm_backward(dy, x, gain, rstd, result.dx, result.dgain));
  return result;
}

}  // namespace dlcm::ops
