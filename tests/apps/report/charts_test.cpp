#include "apps/report/charts.h"

#include <doctest/doctest.h>

namespace dlcm::apps {
namespace {

// A loss of 1, 2, ..., `steps`.
RecordedRun run_of(int64_t steps) {
  RecordedRun run;
  run.last_step = steps;
  for (int64_t i = 1; i <= steps; ++i) {
    run.metrics["loss"].push_back({static_cast<double>(i), static_cast<double>(i)});
  }
  return run;
}

}  // namespace

TEST_CASE("charts: the latest number of a mean is one of as many steps as the note says") {
  const std::vector<Chart> charts = charts_of({run_of(1000)});
  REQUIRE(charts.size() == 1);
  const ChartSeries& series = charts[0].series[0];
  CHECK(series.latest == doctest::Approx(990));  // of 980 to 1,000
  CHECK(series.curve.back().y == series.latest);
  CHECK(series.raw.size() == 1000);
  CHECK(charts[0].note == "Mean of a 50th of the run's steps, of fewer at its beginning; each step faintly.");
}

TEST_CASE("charts: few steps are no means; many runs have no noise, and the note says means") {
  CHECK(charts_of({run_of(99)})[0].note.empty());
  CHECK(charts_of({run_of(99)})[0].series[0].latest == 99);
  const std::vector<Chart> charts = charts_of(std::vector<RecordedRun>(5, run_of(1000)));
  CHECK(charts[0].series[0].raw.empty());
  CHECK(charts[0].note == "Mean of a 50th of the run's steps, of fewer at its beginning.");
}

}  // namespace dlcm::apps
