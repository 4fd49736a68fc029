#include "tensor/ops/segment_mean.h"

#include <algorithm>

#include "tensor/dispatch.h"
#include "tensor/ops/offsets.h"
#include "tensor/parallel.h"
#include "tensor/profile.h"

namespace dlcm::cpu {
namespace {

// Segments per range such that it holds about as many rows as are worth a thread.
int64_t segment_grain(int64_t rows, int64_t segments, int64_t d) {
  return std::max<int64_t>(1, grain_for(d) * segments / std::max<int64_t>(rows, 1));
}

template <class T>
void forward(const Tensor& x, const Tensor& offsets, const Tensor& y) {
  const int64_t d = x.size(1);
  const int64_t segments = y.size(0);
  parallel_for(segments, segment_grain(x.size(0), segments, d), [&](int64_t begin, int64_t end) {
    const int32_t* offset = offsets.data<int32_t>();
    for (int64_t k = begin; k < end; ++k) {
      T* out = y.data<T>() + k * d;
      std::fill_n(out, d, T{0});
      for (int64_t t = offset[k]; t < offset[k + 1]; ++t) {
        const T* in = x.data<T>() + t * d;
#pragma omp simd
        for (int64_t i = 0; i < d; ++i) out[i] += in[i];
      }
      const auto length = static_cast<T>(offset[k + 1] - offset[k]);
#pragma omp simd
      for (int64_t i = 0; i < d; ++i) out[i] /= length;
    }
  });
}

template <class T>
void backward(const Tensor& dy, const Tensor& offsets, const Tensor& dx) {
  const int64_t d = dx.size(1);
  const int64_t segments = dy.size(0);
  parallel_for(segments, segment_grain(dx.size(0), segments, d), [&](int64_t begin, int64_t end) {
    const int32_t* offset = offsets.data<int32_t>();
    for (int64_t k = begin; k < end; ++k) {
      const T* in = dy.data<T>() + k * d;
      T* first = dx.data<T>() + offset[k] * d;
      const auto length = static_cast<T>(offset[k + 1] - offset[k]);
#pragma omp simd
      for (int64_t i = 0; i < d; ++i) first[i] = in[i] / length;
      for (int64_t t = offset[k] + 1; t < offset[k + 1]; ++t) std::copy_n(first, d, dx.data<T>() + t * d);
    }
  });
}

void segment_mean_forward(const Tensor& x, const Tensor& offsets, const Tensor& y) {
  DLCM_FLOATING(x.dtype(), T, forward<T>(x, offsets, y));
}

void segment_mean_backward(const Tensor& dy, const Tensor& offsets, const Tensor& dx) {
  DLCM_FLOATING(dy.dtype(), T, backward<T>(dy, offsets, dx));
}

}  // namespace
}  // namespace dlcm::cpu

namespace dlcm::ops {

Tensor segment_mean(const Tensor& x, const Tensor& offsets) {
  DLCM_CHECK(x.rank() == 2, "segment_mean: x has shape ", x.shape(), ", expected rank 2");
  check_offsets("segment_mean", offsets, x.size(0));
  const ProfileScope profile("segment_mean", 1, x.numel());
  const Tensor y = Tensor::empty({offsets.numel() - 1, x.size(1)}, x.dtype(), x.device());
  DLCM_DISPATCH_CPU(x.device(), segment_mean_forward(x, offsets, y));
  return y;
}

Tensor segment_mean_backward(const Tensor& dy, const Tensor& offsets) {
  DLCM_CHECK(dy.rank() == 2 && dy.size(0) == offsets.numel() - 1, "segment_mean_backward: dy has shape ",
             dy.shape(), ", there are ", offsets.numel(), " offsets");
  const int64_t rows = offsets.data<int32_t>()[offsets.numel() - 1];
  check_offsets("segment_mean_backward", offsets, rows);
  const ProfileScope profile("segment_mean_backward", 1, dy.numel());
  const Tensor dx = Tensor::empty({rows, dy.size(1)}, dy.dtype(), dy.device());
  DLCM_DISPATCH_CPU(dy.device(), segment_mean_backward(dy, offsets, dx));
  return dx;
}

}  // namespace dlcm::ops
