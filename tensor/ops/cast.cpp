#include "tensor/ops/cast.h"

#include "tensor/dispatch.h"
#include "tensor/parallel.h"
#include "tensor/profile.h"

namespace dlcm::cpu {
namespace {

constexpr int64_t kElementsPerRange = 16384;

template <class From, class To>
void convert(const Tensor& x, const Tensor& result) {
  parallel_for(x.numel(), kElementsPerRange, [&](int64_t begin, int64_t end) {
    const From* from = x.data<From>();
    To* to = result.data<To>();
    for (int64_t i = begin; i < end; ++i) to[i] = static_cast<To>(from[i]);
  });
}

void cast_forward(const Tensor& x, const Tensor& result) {
  if (x.dtype() == DType::f32) return convert<float, Bf16>(x, result);
  convert<Bf16, float>(x, result);
}

}  // namespace
}  // namespace dlcm::cpu

namespace dlcm::ops {

void cast_into(const Tensor& x, const Tensor& result) {
  const auto is = [&](DType from, DType to) { return x.dtype() == from && result.dtype() == to; };
  DLCM_CHECK(is(DType::f32, DType::bf16) || is(DType::bf16, DType::f32), "cast: from ", x.dtype(), " to ",
             result.dtype(), "; expected f32 and bf16");
  DLCM_CHECK(x.shape() == result.shape(), "cast: x has shape ", x.shape(), ", the result ", result.shape());
  const ProfileScope profile("cast");
  DLCM_DISPATCH_CPU(x.device(), cast_forward(x, result));
}

Tensor cast(const Tensor& x, DType dtype) {
  if (x.dtype() == dtype) return x;
  const Tensor result = Tensor::empty(x.shape(), dtype, x.device());
  cast_into(x, result);
  return result;
}

}  // namespace dlcm::ops
