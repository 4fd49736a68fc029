#include <array>
#include <vector>

#include <doctest/doctest.h>

#include "tests/ops/gemm_check.h"

namespace dlcm::test {
namespace {

// m, n, k
const std::vector<std::array<int64_t, 3>> kSizes = {{1, 1, 1}, {3, 5, 7}, {33, 13, 70}, {16, 64, 129}};

}  // namespace

// Eigen multiplies doubles in every build.
TEST_CASE("Eigen's products within larger matrices, in both dtypes") {
  for (const auto& [m, n, k] : kSizes) {
    check_gemm<float>(cpu::eigen_gemm, m, n, k, 3e-5);
    check_gemm<double>([](const cpu::Gemm<double>& product) { cpu::library_gemm(product); }, m, n, k, 1e-12);
  }
}

TEST_CASE("the engine for comparison computes the same") {
  check_gemm<float>(cpu::tiled_eigen_gemm, 130, 140, 64, 3e-5);  // tiles of its rows
  check_gemm<float>(cpu::tiled_eigen_gemm, 100, 270, 40, 3e-5);  // and of its columns
  CHECK(cpu::eigen_name().starts_with("Eigen 3."));
}

}  // namespace dlcm::test
