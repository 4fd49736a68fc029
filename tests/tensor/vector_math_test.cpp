#include "tensor/vector_math.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include <doctest/doctest.h>

using namespace dlcm;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Distance from the exact value in units in the last place of a float of that size.
double error_in_ulp(float found, double exact) {
  const int exponent = std::max(std::ilogb(exact), -126);
  return std::abs(static_cast<double>(found) - exact) / std::ldexp(1.0, exponent - 23);
}

}  // namespace

TEST_CASE("fast_exp is within 2 ulp over the whole range") {
  double worst = 0;
  float worst_at = 0;
  std::vector<float> x, y(1000);
  for (int i = 0; i < 200000; i += 1000) {
    x.clear();
    for (int j = 0; j < 1000; ++j) x.push_back(-104.0f + static_cast<float>(i + j) * (192.7f / 200000.0f));
    for (size_t j = 0; j < x.size(); ++j) y[j] = fast_exp(x[j]);
    for (size_t j = 0; j < x.size(); ++j) {
      const double error = error_in_ulp(y[j], std::exp(static_cast<double>(x[j])));
      if (error > worst) worst_at = x[j];
      worst = std::max(worst, error);
    }
  }
  CAPTURE(worst_at);
  CHECK(worst < 2.0);
}

TEST_CASE("fast_exp of the extremes") {
  CHECK(fast_exp(0.0f) == 1.0f);
  CHECK(fast_exp(-0.0f) == 1.0f);
  CHECK(fast_exp(-kInfinity) == 0.0f);
  CHECK(fast_exp(-1e30f) == 0.0f);
  CHECK(fast_exp(kInfinity) == kInfinity);
  CHECK(fast_exp(1e30f) == kInfinity);
  CHECK(fast_exp(88.8f) == kInfinity);
  CHECK(std::isfinite(fast_exp(88.72f)));
  CHECK(fast_exp(-103.0f) > 0.0f);  // subnormal
  CHECK(std::isnan(fast_exp(std::numeric_limits<float>::quiet_NaN())));
  CHECK(std::isnan(fast_exp(-std::numeric_limits<float>::quiet_NaN())));
  CHECK(fast_exp(1.5) == std::exp(1.5));
}

TEST_CASE("fast_exp2 is within 3 ulp up to 127, and 0 where almost nothing is left") {
  double worst = 0;
  for (int i = 0; i < 200000; ++i) {
    const float x = -126.0f + static_cast<float>(i) * (253.0f / 200000.0f);
    worst = std::max(worst, error_in_ulp(fast_exp2(x), std::exp2(static_cast<double>(x))));
  }
  CHECK(worst < 3.0);
  CHECK(fast_exp2(0.0f) == 1.0f);
  CHECK(fast_exp2(-126.6f) == 0.0f);
  CHECK(fast_exp2(-1e30f) == 0.0f);
  CHECK(fast_exp2(-kInfinity) == 0.0f);
  CHECK(std::isnan(fast_exp2(std::numeric_limits<float>::quiet_NaN())));
}

TEST_CASE("sigmoid saturates without NaN") {
  CHECK(sigmoid(0.0f) == 0.5f);
  CHECK(sigmoid(-1e30f) == 0.0f);
  CHECK(sigmoid(1e30f) == 1.0f);
  CHECK(sigmoid(-kInfinity) == 0.0f);
}

TEST_CASE("max_of and dot_of at sizes around the lanes") {
  for (const int64_t n : {0, 1, 2, 63, 64, 65, 127, 128, 200}) {
    CAPTURE(n);
    std::vector<float> a, b;
    double exact = 0;
    for (int64_t i = 0; i < n; ++i) {
      a.push_back(static_cast<float>((i * 37) % 101) - 50);
      b.push_back(static_cast<float>((i * 53) % 97) - 48);
      exact += static_cast<double>(a.back()) * static_cast<double>(b.back());
    }
    CHECK(dot_of(a.data(), b.data(), n) == static_cast<float>(exact));  // small integers: exact
    float largest = -kInfinity;
    for (const float value : a) largest = std::max(largest, value);
    CHECK(max_of(a.data(), n) == largest);
  }
}
