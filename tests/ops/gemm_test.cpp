#include "tensor/ops/gemm.h"

#include <doctest/doctest.h>

#include "tests/ops/gemm_case.h"

using namespace dlcm;
using namespace dlcm::test;

TEST_CASE("products within larger matrices: every transposition and dtype, packed or not" *
          doctest::test_suite("numerics")) {
  check_gemm_forms(DType::f32, DType::f32, cpu::gemm);
  check_gemm_forms(DType::f64, DType::f64, cpu::gemm);
  check_gemm_forms(DType::bf16, DType::bf16, cpu::gemm);
  check_gemm_forms(DType::f32, DType::bf16, cpu::gemm);
  check_gemm_forms(DType::bf16, DType::f32, cpu::gemm);
}

TEST_CASE("bf16 products of small integers are exact") {
  check_exact_gemm(cpu::gemm);
}
