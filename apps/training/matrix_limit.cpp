#include "apps/training/matrix_limit.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "tensor/ops/matmul.h"

namespace dlcm::apps {
namespace {

constexpr int kFewestRuns = 3;
constexpr double kSecondsOfRuns = 0.015;
constexpr double kLongestProduct = 0.02;

// Other programs may interrupt some runs, so there are many of short products.
double shortest_product(int64_t size, DType dtype) {
  using Clock = std::chrono::steady_clock;
  const auto seconds_since = [](Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
  };
  const Tensor a = Tensor::full({size, size}, 0.5, dtype), c = Tensor::empty({size, size});
  double shortest = INFINITY;
  const Clock::time_point first = Clock::now();
  for (int run = 0; run < kFewestRuns || seconds_since(first) < kSecondsOfRuns; ++run) {
    const Clock::time_point begin = Clock::now();
    ops::matmul_into(a, ops::Transpose::no, a, ops::Transpose::no, c, false);
    shortest = std::min(shortest, seconds_since(begin));
  }
  return shortest;
}

}  // namespace

// The larger the product the nearer to the limit, as far as the time allows: the next takes eight times as
// long.
double matrix_limit(DType dtype) {
  double limit = 0;
  double seconds = 0;
  for (int64_t size = 128; size <= 1024 && 8 * seconds < kLongestProduct; size *= 2) {
    seconds = shortest_product(size, dtype);
    limit = std::max(limit, 2 * std::pow(static_cast<double>(size), 3) / seconds);
  }
  return limit;
}

}  // namespace dlcm::apps
