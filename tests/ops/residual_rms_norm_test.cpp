#include "tensor/ops/residual_rms_norm.h"

#include <cmath>

#include <doctest/doctest.h>

#include "autograd/ops.h"
#include "autograd/tape.h"
#include "tensor/ops/elementwise.h"
#include "tests/op_check.h"

using namespace dlcm;
using namespace dlcm::test;
using autograd::Variable;

namespace {

constexpr double kEpsilon = 1e-6;

std::vector<Tensor> naive(const Tensor& x, const Tensor& delta, const Tensor& gain) {
  const int64_t d = gain.numel();
  const Tensor sum = x.empty_like(), y = x.empty_like();
  for (int64_t row = 0; row < x.numel() / d; ++row) {
    const int64_t at = row * d;
    double squares = 0;
    for (int64_t i = at; i < at + d; ++i) {
      sum.data<double>()[i] = x.data<double>()[i] + delta.data<double>()[i];
      squares += std::pow(sum.data<double>()[i], 2);
    }
    const double scale = 1 / std::sqrt(squares / static_cast<double>(d) + kEpsilon);
    for (int64_t i = 0; i < d; ++i) {
      y.data<double>()[at + i] = sum.data<double>()[at + i] * scale * gain.data<double>()[i];
    }
  }
  return {sum, y};
}

std::vector<Variable> outputs(const autograd::ResidualRmsNorm& result) {
  return {result.sum, result.y};
}

std::vector<Tensor> inputs_of(const Shape& shape) {
  return {random_tensor(shape, DType::f64, 10), random_tensor(shape, DType::f64, 11),
          random_tensor({shape[-1]}, DType::f64, 12)};
}

const std::vector<Shape> kShapes = {{5}, {1, 1}, {0, 4}, {3, 64}, {2, 3, 17}, {300, 70}};

// Gradients of x, delta and gain for the given gradients of both outputs.
std::vector<Tensor> gradients_of(const std::vector<Tensor>& inputs, const Tensor& d_sum, const Tensor& dy,
                                 bool fused) {
  std::vector<Variable> leaves;
  for (const Tensor& input : inputs) leaves.emplace_back(input, true);
  autograd::Tape tape;
  autograd::ResidualRmsNorm result;
  {
    const autograd::Tape::Recording recording(tape);
    if (fused) {
      result = autograd::residual_rms_norm(leaves[0], leaves[1], leaves[2], kEpsilon);
    } else {
      result.sum = autograd::add(leaves[0], leaves[1]);
      result.y = autograd::rms_norm(result.sum, leaves[2], kEpsilon);
    }
  }
  std::vector<std::pair<Variable, Tensor>> roots;
  if (d_sum.defined()) roots.emplace_back(result.sum, d_sum);
  if (dy.defined()) roots.emplace_back(result.y, dy);
  tape.backward(roots);
  return {leaves[0].grad(), leaves[1].grad(), leaves[2].grad()};
}

}  // namespace

TEST_CASE("residual_rms_norm: the sum and its norm") {
  for (const Shape& shape : kShapes) {
    OperatorCase c;
    c.name = concat("residual_rms_norm of ", shape);
    c.inputs = inputs_of(shape);
    c.run = [](const auto& in) {
      const auto result = ops::residual_rms_norm(in[0], in[1], in[2], kEpsilon, in[0].dtype());
      return std::vector{result.sum, result.y};
    };
    c.reference = [](const auto& in) { return naive(in[0], in[1], in[2]); };
    c.differentiable = [](const auto& in) {
      return outputs(autograd::residual_rms_norm(in[0], in[1], in[2], kEpsilon));
    };
    check_operator(c);
  }
}

TEST_CASE("residual_rms_norm without an addition: the sum is x itself") {
  OperatorCase c;
  c.name = "residual_rms_norm without delta";
  c.inputs = {random_tensor({150, 33}, DType::f64, 10), random_tensor({33}, DType::f64, 12)};
  c.run = [](const auto& in) {
    const auto result = ops::residual_rms_norm(in[0], Tensor(), in[1], kEpsilon, in[0].dtype());
    CHECK(result.sum.raw_data() == in[0].raw_data());
    return std::vector{result.sum, result.y};
  };
  c.reference = [](const auto& in) { return naive(in[0], in[0].zeros_like(), in[1]); };
  c.differentiable = [](const auto& in) {
    return outputs(autograd::residual_rms_norm(in[0], Variable(), in[1], kEpsilon));
  };
  check_operator(c);
}

TEST_CASE("residual_rms_norm rounded to bf16: the norm alone is") {
  for (const Shape& shape : kShapes) {
    check_rounded_output(inputs_of(shape), [](const auto& in, DType output) {
      return outputs(autograd::residual_rms_norm(in[0], in[1], in[2], kEpsilon, output));
    });
  }
}

TEST_CASE("residual_rms_norm has the bits of add and rms_norm") {
  const Tensor x = random_tensor({200, 96}, DType::f32, 1), delta = random_tensor({200, 96}, DType::f32, 2);
  const Tensor gain = random_tensor({96}, DType::f32, 3);
  const auto result = ops::residual_rms_norm(x, delta, gain, kEpsilon, DType::f32);
  CHECK(bit_equal(result.sum, ops::add(x, delta)));
  CHECK(bit_equal(result.y, ops::rms_norm(ops::add(x, delta), gain, kEpsilon).y));
}

TEST_CASE("residual_rms_norm: gradients of both outputs, of one alone, and none is written over") {
  const std::vector<Tensor> inputs = inputs_of({6, 10});
  const Tensor d_sum = random_tensor({6, 10}, DType::f64, 4), dy = random_tensor({6, 10}, DType::f64, 5);
  const Tensor d_sum_before = d_sum.clone(), dy_before = dy.clone();
  for (const auto& [sum_gradient, y_gradient] :
       std::vector<std::pair<Tensor, Tensor>>{{d_sum, dy}, {Tensor(), dy}, {d_sum, Tensor()}}) {
    const std::vector<Tensor> found = gradients_of(inputs, sum_gradient, y_gradient, true);
    const std::vector<Tensor> expected = gradients_of(inputs, sum_gradient, y_gradient, false);
    for (size_t i = 0; i < 2; ++i) CHECK_CLOSE(found[i], expected[i], 1e-12);
    CHECK_CLOSE(found[2], expected[2].defined() ? expected[2] : inputs[2].zeros_like(), 1e-12);
  }
  CHECK(bit_equal(d_sum, d_sum_before));
  CHECK(bit_equal(dy, dy_before));
}

TEST_CASE("residual_rms_norm errors") {
  const Tensor x = Tensor::zeros({2, 4}), gain = Tensor::zeros({4});
  CHECK_THROWS_WITH_AS(ops::residual_rms_norm(x, x, Tensor::zeros({3}), kEpsilon, DType::f32),
                       "residual_rms_norm: gain has shape [3], x has shape [2, 4]; expected one gain per "
                       "element of a row",
                       Error);
  CHECK_THROWS_WITH_AS(ops::residual_rms_norm(x, Tensor::zeros({4}), gain, kEpsilon, DType::f32),
                       "residual_rms_norm: x has shape [2, 4] of f32, delta [4] of f32", Error);
  CHECK_THROWS_AS(ops::residual_rms_norm(x, x, gain, kEpsilon, DType::f64), Error);
  CHECK_THROWS_WITH_AS(
      ops::residual_rms_norm_backward(Tensor(x), Tensor::zeros({1, 4}), x, gain, Tensor::zeros({2})),
      "residual_rms_norm_backward: d_sum has shape [2, 4], dy [1, 4], rstd [2], sum [2, 4]", Error);
}
