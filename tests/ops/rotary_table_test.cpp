#include "tensor/ops/rotary_table.h"

#include <cmath>

#include <doctest/doctest.h>

#include "tests/op_check.h"

using namespace dlcm;
using namespace dlcm::test;

TEST_CASE("rotary_table: cosines, then sines, of each position") {
  for (const int64_t head_dim : {2, 8, 34}) {
    std::vector<int32_t> positions;
    for (int32_t t = 0; t < 700; ++t) positions.push_back(t * 7 % 50);
    const Tensor table = ops::rotary_table(Tensor::from(positions), head_dim, 10000, DType::f64);
    const Tensor expected = table.empty_like();
    for (int64_t t = 0; t < table.size(0); ++t) {
      for (int64_t i = 0; i < head_dim / 2; ++i) {
        const double angle = positions[static_cast<size_t>(t)] *
                             std::pow(10000.0, -2.0 * static_cast<double>(i) / static_cast<double>(head_dim));
        expected.data<double>()[t * head_dim + i] = std::cos(angle);
        expected.data<double>()[t * head_dim + head_dim / 2 + i] = std::sin(angle);
      }
    }
    CHECK_CLOSE(table, expected, 1e-12);
  }
}

TEST_CASE("rotary_table: angles of far positions are exact in float32 tables") {
  const int32_t far = 1000003;
  const Tensor table = ops::rotary_table(Tensor::from<int32_t>({far}), 4, 10000, DType::f32);
  CHECK(table.data<float>()[0] == doctest::Approx(std::cos(1000003.0)).epsilon(1e-6));
  CHECK(table.data<float>()[3] == doctest::Approx(std::sin(10000.03)).epsilon(1e-6));
}

TEST_CASE("rotary_table errors") {
  CHECK_THROWS_WITH_AS(ops::rotary_table(Tensor::from<int32_t>({0, 1}), 7, 10000, DType::f32),
                       "rotary_table: head_dim is 7, expected an even number above 0", Error);
}
