#include "apps/report/readings.h"

#include <algorithm>
#include <cmath>

#include <doctest/doctest.h>

namespace dlcm::apps {
namespace {

Curve every(int step, int last) {
  Curve curve;
  for (int i = step; i <= last; i += step) curve.push_back({static_cast<double>(i), 0.5 * i});
  return curve;
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("readings: each curve's own number at each step, a dash in a gap, nothing where it has no point") {
  const Curve training = {{1, 9.25}, {2, NAN}, {3, 4}, {4, 3.5}};
  const Curve heldout = {{3, 4.125}, {6, 12'345'678}};
  const Readings readings = readings_of({&training, &heldout}, 6);
  CHECK(readings.steps == std::vector<double>{1, 2, 3, 4, 6});
  REQUIRE(readings.texts.size() == 2);
  CHECK(readings.texts[0] == Texts{"9.25", "\u2013", "4", "3.5", ""});
  CHECK(readings.texts[1] == Texts{"", "", "4.125", "", "12.35 M"});
  CHECK(readings_of({}, 6).steps.empty());
}

TEST_CASE("readings: of many points some, true ones, of all curves at the same steps") {
  const Curve one = every(1, 100'000), shorter = every(1, 70'001), sparse = every(333, 99'900);
  const Readings readings = readings_of({&one, &shorter, &sparse}, 100'000);
  CHECK(readings.steps.front() == 1);
  CHECK(readings.steps.back() == 100'000);
  CHECK(readings.steps.size() < 820);  // 500 strides, and those of `sparse`
  for (size_t i = 0; i < readings.steps.size(); ++i) {
    const double step = readings.steps[i];
    CHECK(readings.texts[0][i] != "");
    CHECK(readings.texts[1][i].empty() == (step > 70'001));
    CHECK(readings.texts[2][i].empty() == (std::fmod(step, 333) != 0));
  }
  const auto at = std::find(readings.steps.begin(), readings.steps.end(), 1000) - readings.steps.begin();
  CHECK(readings.texts[0][static_cast<size_t>(at)] == "500");
  const auto last = std::find(readings.steps.begin(), readings.steps.end(), 70'001) - readings.steps.begin();
  CHECK(readings.texts[1][static_cast<size_t>(last)] == "35,000");  // 35,000.5, to even
}

}  // namespace dlcm::apps
