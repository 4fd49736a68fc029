#include "tensor/ops/swiglu.h"

#include <cmath>

#include <doctest/doctest.h>

#include "autograd/ops.h"
#include "autograd/tape.h"
#include "tests/op_check.h"

using namespace dlcm;
using namespace dlcm::test;
using autograd::Variable;

namespace {

const std::vector<Shape> kShapes = {{1}, {0}, {3, 5}, {2, 3, 4}, {90, 100}};

std::vector<Tensor> inputs_of(const Shape& shape) {
  return {random_tensor(shape, DType::f64, 1, 4.0), random_tensor(shape, DType::f64, 2)};
}

Tensor naive_swiglu(const Tensor& gate, const Tensor& up) {
  const Tensor y = gate.empty_like();
  for (int64_t i = 0; i < y.numel(); ++i) {
    const double x = gate.data<double>()[i];
    y.data<double>()[i] = x / (1 + std::exp(-x)) * up.data<double>()[i];
  }
  return y;
}

// a [m, k] times b [n, k] transposed.
Tensor naive_linear(const Tensor& a, const Tensor& b) {
  const int64_t k = a.size(1), n = b.size(0);
  const Tensor y = Tensor::zeros({a.size(0), n}, DType::f64);
  for (int64_t at = 0; at < y.numel(); ++at) {
    for (int64_t i = 0; i < k; ++i) {
      y.data<double>()[at] += a.data<double>()[at / n * k + i] * b.data<double>()[at % n * k + i];
    }
  }
  return y;
}

// The operator by itself, for the checks of gradients: a model uses it together with the product after it.
Variable recorded_swiglu(const Variable& gate, const Variable& up, DType output) {
  return autograd::record("swiglu", {gate, up}, ops::swiglu(gate.value(), up.value(), output),
                          {gate.value(), up.value()}, [output](const autograd::BackwardContext& context) {
                            const auto [dgate, dup, y] =
                                ops::swiglu_backward(context.gradient(), Tensor(context.saved(0)),
                                                     Tensor(context.saved(1)), output);
                            return std::vector{dgate, dup};
                          });
}

}  // namespace

TEST_CASE("swiglu") {
  for (const Shape& shape : kShapes) {
    OperatorCase c;
    c.name = concat("swiglu of ", shape);
    c.inputs = inputs_of(shape);
    c.run = [](const auto& in) { return std::vector{ops::swiglu(in[0], in[1])}; };
    c.reference = [](const auto& in) { return std::vector{naive_swiglu(in[0], in[1])}; };
    c.differentiable = [](const auto& in) {
      return std::vector{recorded_swiglu(in[0], in[1], in[0].dtype())};
    };
    check_operator(c);
  }
}

TEST_CASE("swiglu rounded to bf16") {
  for (const Shape& shape : kShapes) {
    check_rounded_output(inputs_of(shape), [](const auto& in, DType output) {
      return std::vector{recorded_swiglu(in[0], in[1], output)};
    });
  }
}

TEST_CASE("swiglu_backward makes y again, to the bit, and writes over what it is given alone") {
  for (const DType output : {DType::f32, DType::bf16}) {
    const Tensor gate = random_tensor({90, 100}, DType::f32, 1, 4.0);
    const Tensor up = random_tensor({90, 100}, DType::f32, 2), dy = random_tensor({90, 100}, DType::f32, 3);
    const Tensor gate_before = gate.clone(), up_before = up.clone(), dy_before = dy.clone();
    const auto kept = ops::swiglu_backward(Tensor(dy), Tensor(gate), Tensor(up), output);
    CHECK(bit_equal(kept.y, ops::swiglu(gate, up, output)));
    CHECK(bit_equal(gate, gate_before));
    CHECK(bit_equal(up, up_before));
    CHECK(bit_equal(dy, dy_before));
    Tensor own_dy = dy.clone(), own_gate = gate.clone(), own_up = up.clone();
    const std::vector<void*> places = {own_dy.raw_data(), own_up.raw_data(), own_gate.raw_data()};
    const auto over = ops::swiglu_backward(std::move(own_dy), std::move(own_gate), std::move(own_up), output);
    CHECK(over.dgate.raw_data() == places[0]);
    CHECK(over.dup.raw_data() == places[1]);
    CHECK((over.y.raw_data() == places[2]) == (output == DType::f32));
    CHECK(bit_equal(over.dgate, kept.dgate));
    CHECK(bit_equal(over.dup, kept.dup));
    CHECK(bit_equal(over.y, kept.y));
  }
}

TEST_CASE("swiglu_linear") {
  OperatorCase c;
  c.name = "swiglu_linear";
  c.inputs = {random_tensor({70, 24}, DType::f64, 1, 4.0), random_tensor({70, 24}, DType::f64, 2),
              random_tensor({10, 24}, DType::f64, 3)};
  c.differentiable = [](const auto& in) { return std::vector{autograd::swiglu_linear(in[0], in[1], in[2])}; };
  c.run = [](const auto& in) {
    return std::vector{autograd::swiglu_linear(Variable(in[0]), Variable(in[1]), Variable(in[2])).value()};
  };
  c.reference = [](const auto& in) { return std::vector{naive_linear(naive_swiglu(in[0], in[1]), in[2])}; };
  c.tolerance_f32 = 1e-4;
  check_operator(c);
}

TEST_CASE("swiglu_linear keeps gate and up alone") {
  const Variable x(random_tensor({70, 24}, DType::f32, 1), true);
  const Variable weight(random_tensor({10, 24}, DType::f32, 3), true);
  autograd::Tape tape;
  const autograd::Tape::Recording recording(tape);
  autograd::swiglu_linear(autograd::scale(x, 2), autograd::scale(x, 3), weight);
  CHECK(tape.saved_bytes() == 4 * (2 * 70 * 24 + 10 * 24));
}

TEST_CASE("swiglu of extreme gates: silu is 0 on the left and the identity on the right") {
  const Tensor gate = Tensor::from<float>({-1e30f, -200, 0, 200, 1e30f});
  const Tensor up = Tensor::full({5}, 2.0);
  CHECK_CLOSE(ops::swiglu(gate, up), Tensor::from<float>({0, 0, 0, 400, 2e30f}), 0);
  const auto [dgate, dup, y] =
      ops::swiglu_backward(Tensor::full({5}, 1.0), Tensor(gate), Tensor(up), DType::f32);
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
