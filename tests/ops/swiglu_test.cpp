#include "tensor/ops/swiglu.h"

#include <cmath>

#include <doctest/doctest.h>

#include "autograd/ops.h"
#include "tests/op_check.h"

using namespace dlcm;
using namespace dlcm::test;

TEST_CASE("swiglu") {
  for (const Shape& shape : std::vector<Shape>{{1}, {0}, {3, 5}, {2, 3, 4}, {90, 100}}) {
    OperatorCase c;
    c.name = concat("swiglu of ", shape);
    c.inputs = {random_tensor(shape, DType::f64, 1, 4.0), random_tensor(shape, DType::f64, 2)};
    c.run = [](const auto& in) { return std::vector{ops::swiglu(in[0], in[1])}; };
    c.reference = [](const std::vector<Tensor>& in) {
      const Tensor y = in[0].empty_like();
      for (int64_t i = 0; i < y.numel(); ++i) {
        const double gate = in[0].data<double>()[i];
        y.data<double>()[i] = gate / (1 + std::exp(-gate)) * in[1].data<double>()[i];
      }
      return std::vector{y};
    };
    c.differentiable = [](const auto& in) { return std::vector{autograd::swiglu(in[0], in[1])}; };
    check_operator(c);
  }
}

TEST_CASE("swiglu rounded to bf16") {
  for (const Shape& shape : std::vector<Shape>{{0}, {3, 5}, {90, 100}}) {
    check_rounded_output(
        {random_tensor(shape, DType::f64, 1, 4.0), random_tensor(shape, DType::f64, 2)},
        [](const auto& in, DType output) { return std::vector{autograd::swiglu(in[0], in[1], output)}; });
  }
}

TEST_CASE("swiglu of extreme gates: silu is 0 on the left and the identity on the right") {
  const Tensor gate = Tensor::from<float>({-1e30f, -200, 0, 200, 1e30f});
  const Tensor up = Tensor::full({5}, 2.0);
  CHECK_CLOSE(ops::swiglu(gate, up), Tensor::from<float>({0, 0, 0, 400, 2e30f}), 0);
  const auto [dgate, dup] = ops::swiglu_backward(Tensor::full({5}, 1.0), gate, up);
  CHECK_CLOSE(dgate, Tensor::from<float>({0, 0, 1, 2, 2}), 1e-6);
  CHECK_CLOSE(dup, Tensor::from<float>({0, 0, 0, 200, 1e30f}), 0);
}

TEST_CASE("swiglu errors") {
  CHECK_THROWS_WITH_AS(ops::swiglu(Tensor::zeros({2, 3}), Tensor::zeros({3})),
                       "swiglu: gate has shape [2, 3] of f32, the other operand [3] of f32", Error);
  CHECK_THROWS_AS(ops::swiglu(Tensor::zeros({2}), Tensor::zeros({2}, DType::f64)), Error);
  const Tensor x = Tensor::zeros({2}, DType::f64);
  CHECK_THROWS_WITH_AS(ops::swiglu(x, x, DType::bf16),
                       "swiglu: output of bf16 from an input of f64; expected f64", Error);
}
