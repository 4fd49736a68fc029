#include "apps/report/curve.h"

#include <algorithm>
#include <cmath>

#include <doctest/doctest.h>

namespace dlcm::apps {
namespace {

Curve waves(size_t count) {
  Curve curve;
  for (size_t i = 0; i < count; ++i) {
    curve.push_back({static_cast<double>(i + 1), std::sin(static_cast<double>(i) * 0.7)});
  }
  return curve;
}

}  // namespace

TEST_CASE("curve: a mean of as many points on both sides, fewer at the beginning; gaps count nowhere") {
  Curve line;
  for (int i = 1; i <= 9; ++i) line.push_back({static_cast<double>(i), 2.0 * i});
  const Curve means = smoothed(line, 2);
  REQUIRE(means.size() == 9);
  for (size_t i = 0; i < 9; ++i) {
    CHECK(means[i].x == line[i].x);
    // A straight line stays as it is, but for its end: the mean of the last five.
    CHECK(means[i].y == doctest::Approx(i < 7 ? line[i].y : 14));
  }
  CHECK(smoothed({{1, 2}, {2, 4}, {3, 9}}, 2).back().y == doctest::Approx(5));  // of all there are
  Curve noise = waves(1000);
  for (const Point& point : smoothed(noise, 40)) CHECK(std::abs(point.y) < 0.25);
  const Curve gap = smoothed({{1, 3}, {2, NAN}, {3, 9}, {4, INFINITY}, {5, NAN}}, 1);
  CHECK(gap[0].y == 3);
  CHECK(gap[1].y == 6);
  CHECK(gap[2].y == 9);
  CHECK(gap[3].y == 9);
  CHECK(gap[4].y == 9);
  CHECK(std::isnan(smoothed({{1, 3}, {2, NAN}, {3, NAN}, {4, NAN}}, 1)[3].y));
  CHECK(smoothed({}, 3).empty());
}

TEST_CASE("curve: thinning keeps every peak's height, both ends and the order") {
  Curve curve = waves(100'000);
  curve[50'000].y = 99;
  curve[70'001].y = -99;
  const Curve thin = thinned(curve, 1000);
  CHECK(thin.size() <= 1000);
  CHECK(thin.size() > 900);
  CHECK(thin.front().x == 1);
  CHECK(thin.back().x == 100'000);
  const auto less = [](const Point& a, const Point& b) { return a.x < b.x; };
  CHECK(std::is_sorted(thin.begin(), thin.end(), less));
  const auto has = [&](double x, double y) {
    return std::any_of(thin.begin(), thin.end(), [&](const Point& p) { return p.x == x && p.y == y; });
  };
  CHECK(has(50'001, 99));
  CHECK(has(70'002, -99));
  CHECK(thinned(waves(1000), 1000).size() == 1000);
  CHECK(thinned(waves(1001), 1000).size() <= 1000);
  CHECK(thinned({}, 1000).empty());
}

TEST_CASE("curve: thinning prefers numbers to gaps, and keeps a gap that is all there is") {
  Curve curve = waves(8000);
  for (size_t i = 0; i < curve.size(); i += 2) curve[i].y = NAN;
  for (size_t i = 4000; i < 6000; ++i) curve[i].y = NAN;
  const Curve thin = thinned(curve, 100);
  int64_t gaps = 0;
  for (const Point& point : thin) {
    const bool within = point.x > 3800 && point.x < 6200;
    CHECK((within || point.x == 1 || std::isfinite(point.y)));
    gaps += within && std::isnan(point.y) ? 1 : 0;
  }
  CHECK(gaps > 0);
}

TEST_CASE("curve: the range of its numbers from a step on, without the noise at either end") {
  Curve curve = waves(1000);
  curve[10].y = 1e9;
  curve[500].y = 50;
  const Range all = range_of(curve, 0, 0).value();
  CHECK(all.high == 1e9);
  CHECK(range_of(curve, 100, 0)->high == 50);
  const Range most = range_of(curve, 100, 0.01).value();
  CHECK(most.high <= 1);
  CHECK(most.low >= -1);
  CHECK(most.low < -0.9);
  CHECK_FALSE(range_of(curve, 2000, 0).has_value());
  CHECK_FALSE(range_of({{1, NAN}}, 0, 0).has_value());
  CHECK(range_of({{1, 3}}, 0, 0.4)->low == 3);
}

}  // namespace dlcm::apps
