#include "optim/schedule.h"

#include <cmath>

#include <doctest/doctest.h>

namespace dlcm::optim {
namespace {

TEST_CASE("warm-up, stable, decay") {
  const ScheduleConfig config = {100, 10, 0.2, DecayShape::linear};
  CHECK(schedule_factor(config, 0) == doctest::Approx(0.1));
  CHECK(schedule_factor(config, 9) == doctest::Approx(1.0));
  CHECK(schedule_factor(config, 79) == 1.0);
  CHECK(schedule_factor(config, 80) == doctest::Approx(0.95));
  CHECK(schedule_factor(config, 99) == doctest::Approx(0.0));
}

TEST_CASE("shapes of the decay") {
  ScheduleConfig config = {100, 0, 0.2, DecayShape::sqrt};
  CHECK(schedule_factor(config, 84) == doctest::Approx(1 - std::sqrt(0.25)));
  config.decay_shape = DecayShape::cosine;
  CHECK(schedule_factor(config, 89) == doctest::Approx(0.5));
}

TEST_CASE("a schedule without warm-up or decay is constant") {
  const ScheduleConfig config = {5, 0, 0.0, DecayShape::sqrt};
  for (int64_t step = 0; step < 5; ++step) CHECK(schedule_factor(config, step) == 1.0);
}

TEST_CASE("the geometric path meets both ends and keeps its ratio") {
  CHECK(geometric(0.5, 0.02, 0, 101) == 0.5);
  CHECK(geometric(0.5, 0.02, 100, 101) == doctest::Approx(0.02));
  CHECK(geometric(0.5, 0.02, 50, 101) == doctest::Approx(0.1));
  CHECK(geometric(0.3, 0.3, 7, 20) == doctest::Approx(0.3));
}

}  // namespace
}  // namespace dlcm::optim
