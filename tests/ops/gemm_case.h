// Products within larger matrices against plain loops, for the tests of gemm and of its kernels.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "tensor/ops/gemm.h"
#include "tests/op_check.h"

namespace dlcm::test {

struct GemmCase {
  int64_t m, n, k;
  DType a, b;
  bool ta, tb, accumulate;

  DType arithmetic() const { return a == DType::bf16 ? a : b; }
  DType result() const { return a == DType::f64 ? DType::f64 : DType::f32; }
  std::string text() const;
};

// m, n, k around the sizes of squares, panels, rows of the kernels and blocks of k.
extern const std::vector<std::array<int64_t, 3>> kGemmSizes;

using Multiply = void (*)(const cpu::Gemm&);

// That what is around C stays as it is, and that the product is the same where B was packed before.
void check_gemm(const GemmCase& test, Multiply multiply);
// The sizes with every transposition, with and without adding to C.
void check_gemm_forms(DType a, DType b, Multiply multiply);
// bf16 products of integers, the same bits as in float32.
void check_exact_gemm(Multiply multiply);
// Both for every mixture of operands that is multiplied in bf16, and that a row has the same bits among any
// number of others.
void check_bf16_gemm(Multiply multiply);

}  // namespace dlcm::test
