#include "tensor/ops/segment_mean.h"

#include <doctest/doctest.h>

#include "autograd/ops.h"
#include "tests/op_check.h"

using namespace dlcm;
using namespace dlcm::test;

namespace {

void check_segment_mean(int64_t d, const Tensor& offsets) {
  const int64_t segments = offsets.numel() - 1;
  const int32_t* offset = offsets.data<int32_t>();
  OperatorCase c;
  c.name = concat("segment_mean of ", segments, " segments of width ", d);
  c.inputs = {random_tensor({offset[segments], d}, DType::f64, 1)};
  c.run = [=](const auto& in) { return std::vector{ops::segment_mean(in[0], offsets)}; };
  c.reference = [=](const std::vector<Tensor>& in) {
    const Tensor y = Tensor::zeros({segments, d}, DType::f64);
    for (int64_t k = 0; k < segments; ++k) {
      for (int64_t t = offset[k]; t < offset[k + 1]; ++t) {
        for (int64_t i = 0; i < d; ++i) {
          y.data<double>()[k * d + i] += in[0].data<double>()[t * d + i] / (offset[k + 1] - offset[k]);
        }
      }
    }
    return std::vector{y};
  };
  c.differentiable = [=](const auto& in) { return std::vector{autograd::segment_mean(in[0], offsets)}; };
  check_operator(c);
}

}  // namespace

TEST_CASE("segment_mean") {
  check_segment_mean(3, Tensor::from<int32_t>({0, 2, 3, 7}));
  check_segment_mean(5, Tensor::from<int32_t>({0, 4}));
  check_segment_mean(1, Tensor::from<int32_t>({0, 1}));
  check_segment_mean(4, Tensor::from<int32_t>({0}));
  std::vector<int32_t> offsets = {0};
  for (int32_t k = 0; k < 200; ++k) offsets.push_back(offsets.back() + 1 + k * k % 7);
  check_segment_mean(120, Tensor::from(offsets));
}

TEST_CASE("segment_mean gives the bits of a running sum") {
  const Tensor x = random_tensor({9, 130}, DType::f32, 2);
  const Tensor y = ops::segment_mean(x, Tensor::from<int32_t>({0, 9}));
  const Tensor sum = Tensor::zeros({130});
  for (int64_t t = 0; t < 9; ++t) {
    for (int64_t i = 0; i < 130; ++i) sum.data<float>()[i] += x.data<float>()[t * 130 + i];
  }
  for (int64_t i = 0; i < 130; ++i) sum.data<float>()[i] /= 9.0f;
  CHECK(bit_equal(y.view({130}), sum));
}

TEST_CASE("segment_mean errors name the offset") {
  const Tensor x = Tensor::zeros({4, 2});
  const auto message = [&](const std::vector<int32_t>& offsets) {
    try {
      ops::segment_mean(x, Tensor::from(offsets));
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(message({1, 4}) == "segment_mean: the first offset is 1, expected 0");
  CHECK(message({0, 2, 2, 4}) == "segment_mean: offset 2 is 2, not above the one before, 2");
  CHECK(message({0, 3}) == "segment_mean: the last offset is 3, there are 4 rows");
  CHECK(message({}) == "segment_mean: offsets have shape [0], expected one more than there are pieces");
  CHECK_THROWS_AS(ops::segment_mean_backward(Tensor::zeros({2, 2}), Tensor::from<int32_t>({0, 4})), Error);
}
