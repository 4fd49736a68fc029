#include "apps/report/axis.h"

#include <cmath>

#include <doctest/doctest.h>

namespace dlcm::apps {
namespace {

void check_ticks(const Axis& axis, size_t most) {
  CAPTURE(axis.range.low);
  CAPTURE(axis.range.high);
  CHECK(axis.ticks.size() >= 2);
  CHECK(axis.ticks.size() <= most);
  double before = -INFINITY;
  for (const double tick : axis.ticks) {
    CHECK(tick > before);
    CHECK(axis.share(tick) >= -1e-6);
    CHECK(axis.share(tick) <= 1 + 1e-6);
    before = tick;
  }
}

}  // namespace

TEST_CASE("axis: round numbers, evenly apart") {
  CHECK(axis_over({0, 100}, Scale::linear, 6).ticks == std::vector<double>{0, 20, 40, 60, 80, 100});
  CHECK(axis_over({0, 400}, Scale::linear, 5).ticks == std::vector<double>{0, 100, 200, 300, 400});
  const Axis small = axis_over({1.93, 2.41}, Scale::linear, 6);
  REQUIRE(small.ticks.size() == 5);
  CHECK(small.ticks[0] == doctest::Approx(2.0));
  CHECK(small.ticks[4] == doctest::Approx(2.4));
  CHECK(small.share(1.93) == 0);
  CHECK(small.share(2.41) == 1);
}

TEST_CASE("axis: ticks of any range, tiny, huge, negative, of one number, logarithmic") {
  for (const double low : {0.0, 1e-9, 0.9, 3.3, 1e5, 7e11, 1e300}) {
    for (const double size : {0.0, 1e-12, 1e-3, 0.1, 1.0, 37.0, 1e7}) {
      for (const int most : {4, 5, 6}) {
        check_ticks(axis_over({low, low + size}, Scale::linear, most), static_cast<size_t>(most));
        check_ticks(axis_over({-low - size, -low}, Scale::linear, most), static_cast<size_t>(most));
      }
    }
    for (const double factor : {1.0, 1.01, 1.7, 4.0, 30.0, 1e3, 1e9, 1e30}) {
      if (low > 0) check_ticks(axis_over({low, low * factor}, Scale::logarithmic, 6), 6);
    }
  }
  check_ticks(axis_over({-1.7e308, 1.7e308}, Scale::linear, 6), 6);
  check_ticks(axis_over({1e-300, 1.7e308}, Scale::logarithmic, 6), 6);
  const Axis decades = axis_over({0.01, 10}, Scale::logarithmic, 6);
  CHECK(decades.share(0.01) == 0);
  CHECK(decades.share(0.1) == doctest::Approx(1.0 / 3));
  CHECK(decades.share(10) == 1);
  CHECK(decades.ticks.front() == doctest::Approx(0.01));
  CHECK_FALSE(std::isfinite(decades.share(0)));
  CHECK_FALSE(std::isfinite(decades.share(-1)));
  CHECK(axis_over({0, 10}, Scale::logarithmic, 6).scale == Scale::linear);
}

TEST_CASE("axis: numbers as people write them") {
  CHECK(tick_text(0) == "0");
  CHECK(tick_text(axis_over({0, 1}, Scale::linear, 6).ticks[0]) == "0");
  CHECK(step_text(1) == "1");
  CHECK(step_text(1'234'567) == "1,234,567");
  CHECK(tick_text(0.1 + 0.2) == "0.3");
  CHECK(tick_text(-0.25) == "-0.25");
  CHECK(tick_text(1500) == "1,500");
  CHECK(tick_text(20000) == "20k");
  CHECK(tick_text(1.5e6) == "1.5M");
  CHECK(tick_text(2e9) == "2G");
  CHECK(tick_text(3e-5) == "3e-5");
  CHECK(tick_text(-2.5e-4) == "-2.5e-4");
  CHECK(tick_text(0.001) == "0.001");
  CHECK(tick_text(1e-12) == "1e-12");
  CHECK(tick_text(1e-300) == "1e-300");
  CHECK(number_text(2.69712) == "2.697");
  CHECK(number_text(12870.4) == "12,870");
  CHECK(number_text(-12870.4) == "-12,870");
  CHECK(number_text(999'999) == "999,999");
  CHECK(number_text(3'886'784) == "3.89 M");
  CHECK(number_text(2.3e9) == "2.30 G");
  CHECK(number_text(0) == "0");
  CHECK(number_text(9.87e11) == "987.00 G");
  CHECK(number_text(1e12) == "1e12");
  CHECK(number_text(4.6415888336e19) == "4.64e19");
  CHECK(number_text(-1.5e300) == "-1.5e300");
  CHECK(number_text(4.5e-5) == "4.5e-5");
  CHECK(tick_text(5e11) == "500G");
  CHECK(tick_text(2e12) == "2e12");
  CHECK(tick_text(-8e300) == "-8e300");
  CHECK(tick_text(1.00005e12) == "1.00005e12");
  CHECK(number_text(NAN) == "\u2013");
  CHECK(number_text(INFINITY) == "\u2013");
}

}  // namespace dlcm::apps
