#include <array>
#include <vector>

#include <doctest/doctest.h>

#include "tests/ops/gemm_check.h"

namespace dlcm::test {
namespace {

// m, n, k
const std::vector<std::array<int64_t, 3>> kSizes = {{1, 1, 1}, {3, 5, 7}, {33, 13, 70}, {16, 64, 129}};

}  // namespace

// oneDNN where the build found it, Eigen in its place otherwise.
TEST_CASE("the float32 library's products within larger matrices") {
  INFO(ops::matmul_library());
  for (const auto& [m, n, k] : kSizes)
    check_gemm<float>([](const cpu::Gemm<float>& product) { cpu::library_gemm(product); }, m, n, k, 3e-5);
}

}  // namespace dlcm::test
