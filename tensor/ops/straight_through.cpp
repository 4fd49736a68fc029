#include "tensor/ops/straight_through.h"

#include "tensor/dispatch.h"
#include "tensor/parallel.h"
#include "tensor/profile.h"
#include "tensor/vector_math.h"

namespace dlcm::cpu {
namespace {

template <class T>
void backward(const Tensor& dy, const Tensor& x, const Tensor& boundary, const Tensor& dp) {
  const int64_t d = x.size(1);
  parallel_for(x.size(0), grain_for(d), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const T dot = dot_of(dy.data<T>() + t * d, x.data<T>() + t * d, d);
      dp.data<T>()[t] = boundary.data<uint8_t>()[t] != 0 ? dot : -dot;
    }
  });
}

void straight_through_backward(const Tensor& dy, const Tensor& x, const Tensor& boundary, const Tensor& dp) {
  DLCM_FLOATING(x.dtype(), T, backward<T>(dy, x, boundary, dp));
}

}  // namespace
}  // namespace dlcm::cpu

namespace dlcm::ops {

Tensor straight_through_backward(const Tensor& dy, const Tensor& x, const Tensor& boundary) {
  DLCM_CHECK(x.rank() == 2 && dy.shape() == x.shape() && dy.dtype() == x.dtype(),
             "straight_through_backward: dy has shape ", dy.shape(), " of ", dy.dtype(), ", x ", x.shape(),
             " of ", x.dtype(), "; expected two alike of rank 2");
  DLCM_CHECK(boundary.rank() == 1 && boundary.numel() == x.size(0),
             "straight_through_backward: boundary has shape ", boundary.shape(), ", x ", x.shape());
  const ProfileScope profile("straight_through_backward", 2, x.numel());
  const Tensor dp = Tensor::empty({x.size(0)}, x.dtype(), x.device());
  DLCM_DISPATCH_CPU(x.device(), straight_through_backward(dy, x, boundary, dp));
  return dp;
}

}  // namespace dlcm::ops
