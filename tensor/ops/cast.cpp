#include "tensor/ops/cast.h"

#include "tensor/dispatch.h"
#include "tensor/ops/output_dtype.h"
#include "tensor/parallel.h"
#include "tensor/profile.h"

namespace dlcm::cpu {
namespace {

constexpr int64_t kElementsPerRange = 16384;

void widen_elements(const Bf16* from, int64_t count, float* to) {
  for (int64_t i = 0; i < count; ++i) to[i] = static_cast<float>(from[i]);
}

void cast_forward(const Tensor& x, const Tensor& result) {
  parallel_for(x.numel(), kElementsPerRange, [&](int64_t begin, int64_t end) {
    if (x.dtype() == DType::f32) {
      ops::round_elements(x.data<float>() + begin, end - begin, result.data<Bf16>() + begin);
    } else {
      widen_elements(x.data<Bf16>() + begin, end - begin, result.data<float>() + begin);
    }
  });
}

}  // namespace
}  // namespace dlcm::cpu

namespace dlcm::ops {

void round_elements(const float* from, int64_t count, Bf16* to) {
  for (int64_t i = 0; i < count; ++i) put(from[i], to[i]);
}

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
