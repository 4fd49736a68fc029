// Products of bf16 by one kernel, for check_bf16_gemm. What includes this is compiled as the library is: its
// copies of templates may be linked in place of the library's.
#pragma once

#include "tensor/ops/gemm_driver.h"

namespace dlcm::test {

template <class K>
void gemm_by_kernel(const cpu::Gemm& g) {
  const bool wide_a = g.a.dtype == DType::f32, wide_b = g.b.dtype == DType::f32;
  if (g.b.order == cpu::GemmOrder::packed) {
    return wide_a ? cpu::gemm_packed_by<K, float>({&g, 1}) : cpu::gemm_packed_by<K, Bf16>({&g, 1});
  }
  if (wide_a) return cpu::gemm_by<K, float, Bf16>(g);
  wide_b ? cpu::gemm_by<K, Bf16, float>(g) : cpu::gemm_by<K, Bf16, Bf16>(g);
}

}  // namespace dlcm::test
