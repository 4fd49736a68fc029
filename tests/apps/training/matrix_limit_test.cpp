#include "apps/training/matrix_limit.h"

#include <cmath>

#include <doctest/doctest.h>

namespace dlcm::apps {

TEST_CASE("matrix limit: a speed, for either dtype") {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const double limit = matrix_limit(dtype);
    CHECK(limit > 1e6);
    CHECK(std::isfinite(limit));
  }
}

}  // namespace dlcm::apps
