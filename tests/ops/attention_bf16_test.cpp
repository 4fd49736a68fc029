#include <cmath>
#include <string>

#include <doctest/doctest.h>

#include "autograd/ops.h"
#include "autograd/tape.h"
#include "tensor/ops/attention.h"
#include "tensor/parallel.h"
#include "tests/op_check.h"
#include "tests/ops/attention_case.h"

namespace dlcm::test {
namespace {

using ops::AttentionLayout;

// A probability and ds are rounded to 8 bits, an error of 1/512 of each at most; of many they cancel.
constexpr double kTolerance = 1.0 / 128;

// Of gradients the error of a sum follows the largest of its terms: all elements are measured together.
void check_gradient(const std::string& name, const Tensor& found, const Tensor& expected) {
  CAPTURE(name);
  CHECK(found.dtype() == DType::f32);
  REQUIRE(found.shape() == expected.shape());
  double error = 0, norm = 0;
  const Tensor exact = expected.to(DType::f64);
  for (int64_t i = 0; i < found.numel(); ++i) {
    const double e = exact.data<double>()[i];
    error += std::pow(static_cast<double>(found.data<float>()[i]) - e, 2);
    norm += e * e;
  }
  CHECK(std::sqrt(error) <= kTolerance * std::sqrt(norm) + 1e-6);
}

std::vector<Tensor> rounded(const AttentionCase& c) {
  std::vector<Tensor> result;
  for (const Tensor& input : c.inputs) result.push_back(input.to(DType::bf16));
  return result;
}

void check_rounded(const AttentionCase& c) {
  const std::vector<Tensor> in = rounded(c);
  const AttentionLayout layout = in_dtype(c.layout, DType::f32);
  const AttentionLayout exact_layout = in_dtype(layout, DType::f64);
  std::vector<Tensor> exact;  // the operands as rounded
  for (const Tensor& input : in) exact.push_back(input.to(DType::f64));
  const auto found = ops::attention(in[0], in[1], in[2], layout);
  const auto expected = ops::attention(exact[0], exact[1], exact[2], exact_layout);
  CHECK(found.o.dtype() == DType::f32);
  CHECK_CLOSE(found.o, reference_attention(exact, exact_layout)[0], kTolerance);
  CHECK_CLOSE(found.lse, expected.lse, 1e-5);

  const Tensor d_o = random_tensor(in[0].shape(), DType::f32, 30);
  const auto gradients = ops::attention_backward(d_o, in[0], in[1], in[2], found, layout);
  const auto exact_gradients =
      ops::attention_backward(d_o.to(DType::f64), exact[0], exact[1], exact[2], expected, exact_layout);
  check_gradient("dq", gradients.dq, exact_gradients.dq);
  check_gradient("dk", gradients.dk, exact_gradients.dk);
  check_gradient("dv", gradients.dv, exact_gradients.dv);
}

}  // namespace

TEST_CASE("attention of bf16: values and gradients from the rounded operands") {
  check_rounded(AttentionCase(causal({1, 2, 5, 70}), 78, {2, 1, 8}));
  check_rounded(AttentionCase(causal({1, 2, 63, 64, 65, 130}), 325, {4, 2, 64}));
  check_rounded(AttentionCase(window(200, 70), 200, {2, 1, 12}));
  check_rounded(AttentionCase(causal({600, 30, 1100}), 1730, {1, 1, 4}));
  AttentionCase biased(cross({3, 1, 40, 12}, 3), 25, {6, 2, 5});
  biased.with_biases();
  check_rounded(biased);
  check_rounded(AttentionCase(layout_of({0, 2, 2, 5, 5, 9}, {4, 4, 6, 6, 9, 9}), 12, {5, 1, 3}));
  check_rounded(AttentionCase(layout_of({0}, {1}), 1, {1, 1, 1}));
  check_rounded(AttentionCase(layout_of({0, 0}, {0, 0}), 0, {2, 1, 4}));
}

TEST_CASE("attention of bf16: o may be rounded where it is made") {
  const AttentionCase c(causal({30, 50}), 80, {2, 1, 20});
  const std::vector<Tensor> in = rounded(c);
  const auto wide = ops::attention(in[0], in[1], in[2], c.layout);
  const auto narrow = ops::attention(in[0], in[1], in[2], c.layout, DType::bf16);
  CHECK(bit_equal(narrow.o, wide.o.to(DType::bf16)));
  CHECK(bit_equal(narrow.lse, wide.lse));
  const Tensor d_o = random_tensor(in[0].shape(), DType::bf16, 30);
  const auto found = ops::attention_backward(d_o, in[0], in[1], in[2], narrow, c.layout);
  const auto expected = ops::attention_backward(d_o.to(DType::f32), in[0], in[1], in[2], wide, c.layout);
  check_gradient("dq", found.dq, expected.dq);
  CHECK(bit_equal(found.dv, expected.dv));
  CHECK_THROWS_AS(ops::attention(c.inputs[0], c.inputs[1], c.inputs[2], c.layout, DType::bf16), Error);
}

TEST_CASE("attention of bf16: neither threads nor other rows matter") {
  AttentionCase c(causal({700, 3, 150}), 853, {2, 2, 20});
  c.with_biases();
  const std::vector<Tensor> in = rounded(c);
  const AttentionLayout layout = in_dtype(c.layout, DType::f32);
  const int threads = thread_count();
  std::vector<Tensor> first;
  for (const int count : {1, 2, 3}) {
    set_thread_count(count);
    const auto forward = ops::attention(in[0], in[1], in[2], layout);
    const auto [dq, dk, dv] = ops::attention_backward(in[0], in[0], in[1], in[2], forward, layout);
    const std::vector<Tensor> now = {forward.o, forward.lse, dq, dk, dv};
    if (first.empty()) first = now;
    for (size_t i = 0; i < now.size(); ++i) CHECK(bit_equal(now[i], first[i]));
  }
  set_thread_count(threads);
  for (const auto& [begin, end] : std::vector<std::pair<int64_t, int64_t>>{{0, 1}, {93, 95}, {700, 720}}) {
    const auto part = [b = begin, e = end](const Tensor& x) { return x.slice(b, e); };
    const AttentionLayout rows = {part(layout.key_begin), part(layout.key_end), layout.key_bias,
                                  part(layout.last_bias)};
    const auto alone = ops::attention(part(in[0]), in[1], in[2], rows);
    CHECK(bit_equal(alone.o, part(first[0])));
    CHECK(bit_equal(alone.lse, part(first[1])));
  }
}

TEST_CASE("attention of bf16: gradients of variables are f32") {
  const AttentionCase c(causal({9, 4}), 13, {2, 1, 8});
  std::vector<autograd::Variable> leaves;
  for (const Tensor& input : rounded(c)) leaves.emplace_back(input, true);
  for (const bool dense : {false, true}) {
    CAPTURE(dense);
    autograd::Tape tape;
    autograd::Variable o;
    {
      const autograd::Tape::Recording recording(tape);
      o = dense ? autograd::dense_attention(leaves[0], leaves[1], leaves[2], c.layout)
                : autograd::attention(leaves[0], leaves[1], leaves[2], c.layout, DType::bf16);
    }
    tape.backward({{o, Tensor::full(o.shape(), 1.0)}});
    for (const autograd::Variable& leaf : leaves) CHECK(leaf.grad().dtype() == DType::f32);
  }
}

}  // namespace dlcm::test
