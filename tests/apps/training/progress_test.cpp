#include "apps/training/progress.h"

#include <cmath>

#include <doctest/doctest.h>

namespace dlcm::apps {

TEST_CASE("progress: times as people write them, rounded once, and none where it is not known") {
  CHECK(duration_text(0) == "0:00");
  CHECK(duration_text(59.4) == "0:59");
  CHECK(duration_text(59.5) == "1:00");
  CHECK(duration_text(3599.6) == "1:00:00");
  CHECK(duration_text(3909) == "1:05:09");
  CHECK(duration_text(360000) == "100:00:00");
  for (const double unknown : {std::nan(""), static_cast<double>(INFINITY), -1.0})
    CHECK(duration_text(unknown) == "-");
}

}  // namespace dlcm::apps
