#include "tensor/ops/softmax.h"

#include <cmath>
#include <limits>

#include <doctest/doctest.h>

#include "autograd/ops.h"
#include "tests/op_check.h"

using namespace dlcm;
using namespace dlcm::test;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Tensor naive_softmax(const Tensor& x) {
  const Tensor y = x.empty_like();
  const int64_t n = x.size(-1);
  for (int64_t first = 0; first < x.numel(); first += n) {
    double largest = -kInfinity, sum = 0;
    for (int64_t i = first; i < first + n; ++i) largest = std::max(largest, x.data<double>()[i]);
    for (int64_t i = first; i < first + n; ++i) {
      const bool masked = x.data<double>()[i] == -kInfinity;
      y.data<double>()[i] = masked ? 0 : std::exp(x.data<double>()[i] - largest);
      sum += y.data<double>()[i];
    }
    for (int64_t i = first; i < first + n && sum > 0; ++i) y.data<double>()[i] /= sum;
  }
  return y;
}

OperatorCase softmax_case(const Tensor& x) {
  OperatorCase c;
  c.name = concat("softmax of ", x.shape());
  c.inputs = {x};
  c.run = [](const auto& in) { return std::vector{ops::softmax(in[0])}; };
  c.reference = [](const auto& in) { return std::vector{naive_softmax(in[0])}; };
  c.differentiable = [](const auto& in) { return std::vector{autograd::softmax(in[0])}; };
  return c;
}

}  // namespace

TEST_CASE("softmax over the last dimension") {
  for (const Shape& shape : std::vector<Shape>{
           {1}, {5}, {0}, {0, 3}, {3, 0}, {1, 1}, {3, 64}, {2, 3, 17}, {4, 2, 65}, {700, 50}}) {
    check_operator(softmax_case(random_tensor(shape, DType::f64, 1, 3.0)));
  }
}

TEST_CASE("softmax: -inf is masked, forward and backward") {
  const Tensor x = random_tensor({4, 70}, DType::f64, 2);
  x.slice(0, 1).fill(-kInfinity);  // an empty set
  for (int64_t i = 0; i < 70; i += 2) x.data<double>()[70 + i] = -kInfinity;
  for (int64_t i = 0; i < 69; ++i) x.data<double>()[140 + i] = -kInfinity;  // one element left
  OperatorCase c = softmax_case(x);
  c.gradients.step = 1e-6;
  // Central differences of a masked element are 0: -inf stays -inf.
  check_operator(c);
  const std::vector<double> y = ops::softmax(x).to_vector<double>();
  for (int64_t i = 0; i < 70; ++i) CHECK(y[static_cast<size_t>(i)] == 0);
  CHECK(y[140 + 69] == 1);
}

TEST_CASE("softmax of huge values neither overflows nor loses the winner") {
  const float huge = std::numeric_limits<float>::max();
  const Tensor y = ops::softmax(Tensor::from<float>({4, 3}, {huge, 0, -huge, huge, huge, 0,  //
                                                             -huge, -huge, -huge, 1e4f, 1e4f - 1, 0}));
  const float e = std::exp(-1.0f);
  const Tensor expected = Tensor::from<float>(
      {4, 3}, {1, 0, 0, 0.5f, 0.5f, 0, 1.0f / 3, 1.0f / 3, 1.0f / 3, 1 / (1 + e), e / (1 + e), 0});
  CHECK_CLOSE(y, expected, 1e-6);
}

TEST_CASE("softmax does not hide NaN, not even in a row that is masked otherwise") {
  const auto nan = std::numeric_limits<float>::quiet_NaN();
  const auto minus = -std::numeric_limits<float>::infinity();
  const std::vector<float> y =
      ops::softmax(Tensor::from<float>({3, 2}, {nan, 1, nan, minus, 1, 1})).to_vector<float>();
  for (size_t i = 0; i < 4; ++i) CHECK(std::isnan(y[i]));
  CHECK(y[4] == 0.5f);
}

TEST_CASE("softmax errors") {
  CHECK_THROWS_WITH_AS(ops::softmax(Tensor::full({}, 1)),
                       "softmax: x has no dimensions; expected rows to normalise", Error);
  CHECK_THROWS_WITH_AS(ops::softmax(Tensor::zeros({3}, DType::i32)),
                       "softmax_forward: dtype i32, expected f32 or f64", Error);
  CHECK_THROWS_WITH_AS(ops::softmax_backward(Tensor::zeros({2}), Tensor::zeros({3})),
                       "softmax_backward: dy has shape [2] of f32, y [3] of f32", Error);
}
