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

// By PyTorch 2.13 as transformers computes them: f = 1 / base ** (arange(0, 26, 2).float() / 26), then the
// cosines and sines of 4000.0 * f. Exact angles would be up to 7e-5 away.
TEST_CASE("rotary_table: float32 tables have the angles of published code, also at far positions") {
  const std::vector<float> expected = {
      -0.729946971F, 0.966922402F,   0.999934316F,  -0.051409401F, 0.898072302F, 0.663003862F, 0.866907835F,
      -0.703570306F, 0.687782288F,   0.960866868F,  0.995301247F,  0.999438703F, 0.999933004F, -0.683503807F,
      -0.255070776F, -0.0114629772F, 0.998677671F,  0.439847827F,  0.74861598F,  0.498468459F, 0.710625648F,
      0.725917041F,  0.2770105F,     0.0968265235F, 0.0335008316F, 0.0115768043F};
  const Tensor table = ops::rotary_table(Tensor::from<int32_t>({4000}), 26, 1e6, DType::f32);
  for (int64_t i = 0; i < 26; ++i) {
    CHECK(std::abs(table.data<float>()[i] - expected[static_cast<size_t>(i)]) < 1e-6);
  }
}

TEST_CASE("rotary_table errors") {
  CHECK_THROWS_WITH_AS(ops::rotary_table(Tensor::from<int32_t>({0, 1}), 7, 10000, DType::f32),
                       "rotary_table: head_dim is 7, expected an even number above 0", Error);
}
