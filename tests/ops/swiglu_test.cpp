#include "tensor/ops/swiglu.h"

#include <cmath>

#include <doctest/doctest.h>

#include "autograd/ops.h"
#include "autograd/tape.h"
#include "tensor/ops/matmul.h"
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
                          {gate.value(), up.value()}, [](const autograd::BackwardContext& context) {
                            const Tensor dy = context.gradient();
                            const auto [dgate, dup, y] = ops::swiglu_backward(
                                Tensor(dy), Tensor(context.saved(0)), Tensor(context.saved(1)), dy.dtype());
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
    const std::vector<void*> results = {over.dgate.raw_data(), over.dup.raw_data(), over.y.raw_data()};
    if (output == DType::f32) CHECK(results == places);
    CHECK(bit_equal(over.dgate, kept.dgate));
    CHECK(bit_equal(over.dup, kept.dup));
    CHECK(bit_equal(over.y, kept.y));
  }
}

TEST_CASE("gradients of swiglu in bf16 are those in float32, rounded once") {
  const Tensor gate = random_tensor({90, 100}, DType::f32, 1, 4.0);
  const Tensor up = random_tensor({90, 100}, DType::f32, 2), dy = random_tensor({90, 100}, DType::f32, 3);
  const auto gradients = [&](DType output) {
    return ops::swiglu_backward(Tensor(dy), Tensor(gate), Tensor(up), output);
  };
  const auto wide = gradients(DType::f32), narrow = gradients(DType::bf16);
  CHECK(bit_equal(narrow.dgate, wide.dgate.to(DType::bf16)));
  CHECK(bit_equal(narrow.dup, wide.dup.to(DType::bf16)));
}

namespace {

// x, and the weights of gate, up and down.
std::vector<Tensor> mlp_inputs() {
  constexpr double kScale = 0.3;  // of the weights, as of a model: rows of y are of the size of those of x
  return {random_tensor({70, 12}, DType::f64, 1), random_tensor({24, 12}, DType::f64, 2, kScale),
          random_tensor({24, 12}, DType::f64, 3, kScale), random_tensor({10, 24}, DType::f64, 4, kScale)};
}

}  // namespace

TEST_CASE("swiglu_mlp") {
  OperatorCase c;
  c.name = "swiglu_mlp";
  c.inputs = mlp_inputs();
  c.differentiable = [](const auto& in) {
    return std::vector{autograd::swiglu_mlp(in[0], in[1], in[2], in[3])};
  };
  c.run = [](const auto& in) {
    return std::vector{
        autograd::swiglu_mlp(Variable(in[0]), Variable(in[1]), Variable(in[2]), Variable(in[3])).value()};
  };
  c.reference = [](const auto& in) {
    const Tensor hidden = naive_swiglu(naive_linear(in[0], in[1]), naive_linear(in[0], in[2]));
    return std::vector{naive_linear(hidden, in[3])};
  };
  c.tolerance_f32 = 1e-4;
  check_operator(c);
}

TEST_CASE("swiglu_mlp adds to the gradients gathered already, of x too") {
  std::vector<Variable> twice, once;
  for (const Tensor& input : mlp_inputs()) {
    twice.emplace_back(input, true);
    once.emplace_back(input, true);
  }
  const auto backward = [](const std::vector<Variable>& in, int times) {
    autograd::Tape tape;
    const autograd::Tape::Recording recording(tape);
    std::vector<autograd::Root> roots;
    for (int i = 0; i < times; ++i) roots.push_back({autograd::swiglu_mlp(in[0], in[1], in[2], in[3])});
    tape.backward(roots);
  };
  backward(twice, 2);
  backward(once, 1);
  for (size_t i = 0; i < once.size(); ++i) {
    CHECK_CLOSE(twice[i].grad(), autograd::scale(Variable(once[i].grad()), 2).value(), 1e-12);
  }
}

TEST_CASE("swiglu_mlp keeps its inputs, gate and up alone") {
  std::vector<Variable> in;
  for (const Tensor& input : mlp_inputs()) in.emplace_back(input.to(DType::f32), true);
  autograd::Tape tape;
  const autograd::Tape::Recording recording(tape);
  autograd::swiglu_mlp(in[0], in[1], in[2], in[3]);
  CHECK(tape.saved_bytes() == 4 * (70 * 12 + 2 * 24 * 12 + 10 * 24 + 2 * 70 * 24));
}

TEST_CASE("swiglu_mlp in bf16: the operators one by one on rounded operands") {
  const auto rounded = [](const Tensor& x) { return x.to(DType::bf16).to(DType::f32); };
  std::vector<Variable> narrow, wide;
  const std::vector<Tensor> inputs = mlp_inputs();
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Tensor value = rounded(inputs[i].to(DType::f32));
    narrow.emplace_back(i == 0 ? value : value.to(DType::bf16), true);
    wide.emplace_back(value, true);
  }
  autograd::Tape tape;
  const autograd::Tape::Recording recording(tape);
  const Variable y = autograd::swiglu_mlp(narrow[0], narrow[1], narrow[2], narrow[3]);
  const Tensor gate = ops::linear(wide[0].value(), wide[1].value());
  const Tensor up = ops::linear(wide[0].value(), wide[2].value());
  CHECK_CLOSE(y.value(), ops::linear(rounded(ops::swiglu(gate, up)), wide[3].value()), 1e-5);

  const Tensor dy = rounded(random_tensor(y.shape(), DType::f32, 5));
  tape.backward({{y, dy}});
  const auto inner = ops::swiglu_backward(ops::linear_backward_input(dy, wide[3].value()), Tensor(gate),
                                          Tensor(up), DType::bf16);
  const Tensor dgate = inner.dgate.to(DType::f32), dup = inner.dup.to(DType::f32);
  CHECK_CLOSE(narrow[1].grad(), ops::linear_backward_weight(dgate, wide[0].value()), 1e-5);
  CHECK_CLOSE(narrow[2].grad(), ops::linear_backward_weight(dup, wide[0].value()), 1e-5);
  CHECK_CLOSE(narrow[3].grad(), ops::linear_backward_weight(dy, inner.y.to(DType::f32)), 1e-5);
  Tensor dx = ops::linear_backward_input(dgate, wide[1].value());
  ops::matmul_into(dup, ops::Transpose::no, wide[2].value(), ops::Transpose::no, dx, true);
  CHECK_CLOSE(narrow[0].grad(), dx, 1e-5);
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
