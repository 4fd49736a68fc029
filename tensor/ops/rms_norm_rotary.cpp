#include "tensor/ops/rms_norm_rotary.h"

#include "tensor/ops/output_dtype.h"
#include "tensor/ops/rms_norm_rows.h"
#include "tensor/profile.h"

namespace dlcm::cpu {
namespace {

// Calls body with the length of a head, for the usual ones as a constant, with which the short loops over a
// head become a few instructions.
template <class Body>
void with_head_dim(int64_t head_dim, const Body& body) {
  switch (head_dim) {
    case 32:
      return body(std::integral_constant<int64_t, 32>());
    case 64:
      return body(std::integral_constant<int64_t, 64>());
    case 128:
      return body(std::integral_constant<int64_t, 128>());
    default:
      return body(head_dim);
  }
}

// One head: halves of x times rstd and gain, rotated. `table` holds the cosines, then the sines.
template <class T, class Out>
void rotate_row(const T* x, const T* gain, T rstd, const T* table, int64_t half, Out* y) {
#pragma omp simd
  for (int64_t i = 0; i < half; ++i) {
    const T first = x[i] * rstd * gain[i];
    const T second = x[i + half] * rstd * gain[i + half];
    put(first * table[i] - second * table[i + half], y[i]);
    put(second * table[i] + first * table[i + half], y[i + half]);
  }
}

// The rotation by the opposite angle; dn may be dy.
template <class T>
void rotate_back(const T* dy, const T* table, int64_t half, T* dn) {
#pragma omp simd
  for (int64_t i = 0; i < half; ++i) {
    const T first = dy[i], second = dy[i + half];
    dn[i] = first * table[i] + second * table[i + half];
    dn[i + half] = second * table[i] - first * table[i + half];
  }
}

template <class T, class Out>
void forward(const Tensor& x, const Tensor& gain, double epsilon, const Tensor& table, const Tensor& y) {
  const int64_t heads = x.size(1);
  parallel_for(x.size(0), grain_for(heads * x.size(2)), [&](int64_t begin, int64_t end) {
    with_head_dim(x.size(2), [&](auto d) {
      const T* in = x.data<T>() + begin * heads * d;
      Out* out = y.data<Out>() + begin * heads * d;
      for (int64_t t = begin; t < end; ++t) {
        const T* angles = table.data<T>() + t * d;
        for (int64_t head = 0; head < heads; ++head, in += d, out += d) {
          rotate_row(in, gain.data<T>(), row_rstd(in, d, epsilon), angles, d / 2, out);
        }
      }
    });
  });
}

template <class T>
void backward(const Tensor& dy, const Tensor& x, const Tensor& gain, double epsilon, const Tensor& table,
              const ops::RmsNormGradients& result) {
  const int64_t heads = x.size(1);
  sum_gain_gradient<T>(x.size(0) * heads, result.dgain, [&](int64_t begin, int64_t end, T* dgain) {
    with_head_dim(x.size(2), [&](auto d) {
      for (int64_t row = begin; row < end; ++row) {
        const T* in = x.data<T>() + row * d;
        T* dx = result.dx.data<T>() + row * d;
        rotate_back(dy.data<T>() + row * d, table.data<T>() + row / heads * d, d / 2, dx);
        norm_backward_row(dx, in, gain.data<T>(), row_rstd(in, d, epsilon), d, dx, dgain);
      }
    });
  });
}

void rms_norm_rotary_forward(const Tensor& x, const Tensor& gain, double epsilon, const Tensor& table,
                             const Tensor& y) {
  DLCM_FLOATING_OUTPUT(x.dtype(), y.dtype(), T, Out, forward<T, Out>(x, gain, epsilon, table, y));
}

void rms_norm_rotary_backward(const Tensor& dy, const Tensor& x, const Tensor& gain, double epsilon,
                              const Tensor& table, const ops::RmsNormGradients& result) {
  DLCM_FLOATING(x.dtype(), T, backward<T>(dy, x, gain, epsilon, table, result));
}

}  // namespace
}  // namespace dlcm::cpu

namespace dlcm::ops {
namespace {

void check_arguments(const char* name, const Tensor& x, const Tensor& gain, const Tensor& table) {
  norm_rows(name, x, gain);
  DLCM_CHECK(x.rank() == 3 && table.rank() == 2 && table.size(0) == x.size(0) && table.size(1) == x.size(2) &&
                 x.size(2) % 2 == 0,
             name, ": x has shape ", x.shape(), ", table ", table.shape(),
             "; expected [T, heads, head_dim] and [T, head_dim], head_dim even");
  DLCM_CHECK(x.dtype() == table.dtype(), name, ": x is ", x.dtype(), ", table is ", table.dtype());
}

}  // namespace

Tensor rms_norm_rotary(const Tensor& x, const Tensor& gain, double epsilon, const Tensor& table,
                       DType output) {
  check_arguments("rms_norm_rotary", x, gain, table);
  check_output("rms_norm_rotary", x.dtype(), output);
  const ProfileScope profile("rms_norm_rotary", 7, x.numel());
  const Tensor y = Tensor::empty(x.shape(), output, x.device());
  DLCM_DISPATCH_CPU(x.device(), rms_norm_rotary_forward(x, gain, epsilon, table, y));
  return y;
}

RmsNormGradients rms_norm_rotary_backward(Tensor&& dy, const Tensor& x, const Tensor& gain, double epsilon,
                                          const Tensor& table) {
  check_arguments("rms_norm_rotary_backward", x, gain, table);
  DLCM_CHECK(dy.shape() == x.shape(), "rms_norm_rotary_backward: dy has shape ", dy.shape(), ", x ",
             x.shape());
  const ProfileScope profile("rms_norm_rotary_backward", 15, x.numel());
  const RmsNormGradients result = {dy.unique() ? dy : dy.empty_like(), gain.empty_like()};
  DLCM_DISPATCH_CPU(x.device(), rms_norm_rotary_backward(dy, x, gain, epsilon, table, result));
  return result;
}

}  // namespace dlcm::ops
