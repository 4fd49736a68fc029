// Checks of an engine behind the matrix product (cpu::Gemm in tensor/ops/matmul.h).
#pragma once

#include <functional>

#include "tensor/ops/matmul.h"

namespace dlcm::test {

// doctest CHECKs of m x k times k x n against plain loops, within `tolerance` (as `compare` has it): all
// transpositions, with and without accumulation, operands and result in the middle of larger matrices, of
// which everything around the result stays as it was.
template <class T>
void check_gemm(const std::function<void(const cpu::Gemm<T>&)>& engine, int64_t m, int64_t n, int64_t k,
                double tolerance);

}  // namespace dlcm::test
