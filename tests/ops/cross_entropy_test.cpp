#include "tensor/ops/cross_entropy.h"

#include <cmath>

#include <doctest/doctest.h>

#include "autograd/ops.h"
#include "autograd/tape.h"
#include "tensor/allocator.h"
#include "tensor/random.h"
#include "tests/op_check.h"

namespace dlcm::test {
namespace {

using autograd::Variable;

// Losses and the sum of x, weight in f64, term by term.
std::vector<Tensor> reference(const Tensor& x, const Tensor& weight, const Tensor& targets, double scale) {
  const int64_t rows = x.size(0), d = x.size(1), n = weight.size(0);
  const Tensor loss = Tensor::zeros({rows}, DType::f64);
  double sum = 0;
  for (int64_t t = 0; t < rows; ++t) {
    const int32_t target = targets.data<int32_t>()[t];
    if (target < 0) continue;
    std::vector<double> logits(static_cast<size_t>(n));
    double highest = -INFINITY;
    for (int64_t v = 0; v < n; ++v) {
      double logit = 0;
      for (int64_t i = 0; i < d; ++i) logit += x.data<double>()[t * d + i] * weight.data<double>()[v * d + i];
      logits[static_cast<size_t>(v)] = scale * logit;
      highest = std::max(highest, scale * logit);
    }
    double total = 0;
    for (const double logit : logits) total += std::exp(logit - highest);
    loss.data<double>()[t] = std::log(total) + highest - logits[static_cast<size_t>(target)];
    sum += loss.data<double>()[t];
  }
  return {loss, Tensor::full({1}, sum, DType::f64)};
}

Tensor targets_of(int64_t rows, int64_t vocabulary) {
  std::vector<int32_t> targets;
  for (int64_t t = 0; t < rows; ++t) {
    targets.push_back(t % 5 == 3 ? -1 : static_cast<int32_t>(t * 7919 % vocabulary));
  }
  return Tensor::from(targets);
}

OperatorCase case_of(int64_t rows, int64_t d, int64_t vocabulary, double scale) {
  const Tensor targets = targets_of(rows, vocabulary);
  OperatorCase operator_case;
  operator_case.name = "linear_cross_entropy";
  operator_case.inputs = {random_tensor({rows, d}, DType::f64, 1),
                          random_tensor({vocabulary, d}, DType::f64, 2)};
  operator_case.run = [targets, scale](const std::vector<Tensor>& in) -> std::vector<Tensor> {
    const auto result = ops::linear_cross_entropy(in[0], in[1], targets, scale, ops::WithGradients::no);
    return {result.loss, Tensor::full({1}, result.sum, in[0].dtype())};
  };
  operator_case.reference = [targets, scale](const std::vector<Tensor>& in) {
    return reference(in[0], in[1], targets, scale);
  };
  operator_case.differentiable = [targets, scale](const std::vector<Variable>& in) -> std::vector<Variable> {
    return {autograd::linear_cross_entropy(in[0], in[1], targets, scale)};
  };
  return operator_case;
}

}  // namespace

TEST_CASE("linear_cross_entropy: values and gradients") {
  check_operator(case_of(37, 6, 11, 1.0));
  check_operator(case_of(5, 3, 130, 0.25));
  check_operator(case_of(9, 4, 3, -2.0));
  check_operator(case_of(1, 1, 1, 1.0));
  check_operator(case_of(0, 4, 7, 1.0));
}

TEST_CASE("linear_cross_entropy: several chunks of rows") {
  const OperatorCase operator_case = case_of(300, 4, 8200, 0.5);
  const auto found = operator_case.run(operator_case.inputs);
  CHECK_CLOSE(found[0], operator_case.reference(operator_case.inputs)[0], 1e-12);
  const Tensor targets = targets_of(300, 8200);
  const Tensor& x = operator_case.inputs[0];
  const Tensor& weight = operator_case.inputs[1];
  const auto whole = ops::linear_cross_entropy(x, weight, targets, 0.5, ops::WithGradients::yes);
  // Rows 0 to 99 alone are one chunk.
  const auto part =
      ops::linear_cross_entropy(x.slice(0, 99), weight, targets.slice(0, 99), 0.5, ops::WithGradients::yes);
  const auto rest = ops::linear_cross_entropy(x.slice(99, 300), weight, targets.slice(99, 300), 0.5,
                                              ops::WithGradients::yes);
  CHECK_CLOSE(whole.dx.slice(0, 99), part.dx, 1e-12);
  CHECK_CLOSE(whole.dx.slice(99, 300), rest.dx, 1e-12);
  CHECK(std::abs(whole.sum - part.sum - rest.sum) < 1e-9);
  const Tensor sum = part.dweight.clone();
  for (int64_t i = 0; i < sum.numel(); ++i) sum.data<double>()[i] += rest.dweight.data<double>()[i];
  CHECK_CLOSE(whole.dweight, sum, 1e-12);
}

TEST_CASE("linear_cross_entropy: logits of 1e4 do not overflow") {
  const Tensor x = Tensor::from({3, 1}, std::vector<float>{1, -1, 1});
  const Tensor weight = Tensor::from({3, 1}, std::vector<float>{10000, -10000, 9999});
  const Tensor targets = Tensor::from(std::vector<int32_t>{0, 0, 2});
  const auto result = ops::linear_cross_entropy(x, weight, targets, 1.0, ops::WithGradients::yes);
  const double soft = std::log1p(std::exp(-1.0));
  CHECK_CLOSE(result.loss, Tensor::from(std::vector<double>{soft, 20000, soft + 1}), 1e-6);
  CHECK(std::isfinite(result.dweight.data<float>()[0]));
  CHECK(result.dx.data<float>()[1] == doctest::Approx(-20000));
}

TEST_CASE("linear_cross_entropy: rows without a target contribute nothing") {
  const Tensor x = random_tensor({4, 3}, DType::f32, 5);
  const Tensor weight = random_tensor({6, 3}, DType::f32, 6);
  const Tensor none = Tensor::from(std::vector<int32_t>{-1, -1, -1, -1});
  const auto result = ops::linear_cross_entropy(x, weight, none, 1.0, ops::WithGradients::yes);
  CHECK(result.sum == 0);
  CHECK(bit_equal(result.loss, Tensor::zeros({4})));
  CHECK(bit_equal(result.dweight, Tensor::zeros({6, 3})));
  CHECK(bit_equal(result.dx, Tensor::zeros({4, 3})));
  const auto no_rows =
      ops::linear_cross_entropy(x.slice(0, 0), weight, none.slice(0, 0), 1.0, ops::WithGradients::yes);
  CHECK(bit_equal(no_rows.dweight, Tensor::zeros({6, 3})));
}

TEST_CASE("linear_cross_entropy: a large vocabulary needs no [T, V] tensor" *
          doctest::test_suite("numerics")) {
  const int64_t rows = 384, vocabulary = 128815;
  const Tensor x = random_tensor({rows, 2}, DType::f32, 7);
  const Tensor weight = random_tensor({vocabulary, 2}, DType::f32, 8);
  const Tensor targets = targets_of(rows, vocabulary);
  Allocator& memory = allocator(Device::cpu());
  for (const ops::WithGradients gradients : {ops::WithGradients::no, ops::WithGradients::yes}) {
    memory.reset_peak();
    const int64_t before = memory.statistics().allocated_bytes;
    const auto result = ops::linear_cross_entropy(x, weight, targets, 1.0, gradients);
    CHECK(memory.statistics().peak_bytes - before < rows * vocabulary * 4 / 2);
    memory.release_cached();
    CHECK(result.sum / 307 > 10);
    CHECK(result.sum / 307 < 20);
  }
}

TEST_CASE("linear_cross_entropy: the same losses with gradients and without") {
  const Tensor x = random_tensor({300, 40}, DType::f32, 7);
  const Tensor targets = targets_of(300, 500);
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const Tensor weight = random_tensor({500, 40}, DType::f32, 8).to(dtype);
    const auto with = ops::linear_cross_entropy(x, weight, targets, 0.5, ops::WithGradients::yes);
    const auto without = ops::linear_cross_entropy(x, weight, targets, 0.5, ops::WithGradients::no);
    CHECK(bit_equal(without.loss, with.loss));
    CHECK(without.sum == with.sum);
    CHECK((with.dx.defined() && !without.dx.defined() && !without.dweight.defined()));
  }
}

TEST_CASE("linear_cross_entropy: on the tape") {
  const Variable x(random_tensor({7, 3}, DType::f64, 9), true);
  const Variable weight(random_tensor({5, 3}, DType::f64, 10), true);
  const Tensor targets = targets_of(7, 5);
  const auto expected =
      ops::linear_cross_entropy(x.value(), weight.value(), targets, 0.5, ops::WithGradients::yes);
  for (const double upstream : {1.0, 0.125}) {
    Variable leaf_x(x.value(), true), leaf_weight(weight.value(), true);
    autograd::Tape tape;
    Variable loss;
    Tensor token_loss;
    {
      const autograd::Tape::Recording recording(tape);
      loss = autograd::linear_cross_entropy(leaf_x, leaf_weight, targets, 0.5, &token_loss);
    }
    CHECK(bit_equal(token_loss, expected.loss));
    CHECK(loss.value().item() == expected.sum);
    tape.backward({{loss, upstream}});
    for (int64_t i = 0; i < 15; ++i) {
      CHECK(leaf_weight.grad().data<double>()[i] == upstream * expected.dweight.data<double>()[i]);
      CHECK(leaf_x.grad().data<double>()[i] == upstream * expected.dx.data<double>()[i]);
    }
  }
}

TEST_CASE("linear_cross_entropy: errors") {
  const Tensor x = random_tensor({2, 3}, DType::f32, 11);
  const Tensor weight = random_tensor({5, 3}, DType::f32, 12);
  const auto run = [&](const Tensor& a, const Tensor& w, const std::vector<int32_t>& targets) {
    ops::linear_cross_entropy(a, w, Tensor::from(targets), 1.0, ops::WithGradients::no);
  };
  CHECK_THROWS_WITH_AS(
      run(x, weight, {1, 5}),
      "linear_cross_entropy: target 5 at position 1 is not a token of the vocabulary of 5 (-1 "
      "stands for none)",
      Error);
  CHECK_THROWS_AS(run(x, weight, {-2, 0}), Error);
  CHECK_THROWS_AS(run(x, weight, {0}), Error);
  CHECK_THROWS_AS(run(x, weight.view({3, 5}), {0, 0}), Error);
  CHECK_THROWS_AS(run(x, weight.to(DType::f64), {0, 0}), Error);
}

}  // namespace dlcm::test
