#include "tensor/ops/attention.h"

#include <doctest/doctest.h>

#include "autograd/ops.h"
#include "autograd/tape.h"
#include "tensor/allocator.h"
#include "tensor/parallel.h"
#include "tests/op_check.h"
#include "tests/ops/attention_case.h"

namespace dlcm::test {
namespace {

using autograd::Variable;
using ops::AttentionLayout;

void check_tiled(const AttentionCase& c) {
  OperatorCase operator_case;
  operator_case.name = "attention";
  operator_case.inputs = c.inputs;
  operator_case.run = [&c](const std::vector<Tensor>& in) -> std::vector<Tensor> {
    const auto result = ops::attention(in[0], in[1], in[2], in_dtype(c.layout, in[0].dtype()));
    return {result.o, result.lse};
  };
  operator_case.reference = [&c](const std::vector<Tensor>& in) { return reference_attention(in, c.layout); };
  operator_case.differentiable = [&c](const std::vector<Variable>& in) -> std::vector<Variable> {
    return {autograd::attention(in[0], in[1], in[2], in_dtype(c.layout, in[0].dtype()))};
  };
  operator_case.gradients.max_elements = 12;
  check_operator(operator_case);
}

}  // namespace

TEST_CASE("attention: values and gradients") {
  check_tiled(AttentionCase(causal({1, 2, 5, 70}), 78, {2, 1, 8}));
  AttentionCase biased(cross({3, 1, 40, 12}, 3), 25, {6, 2, 5});
  biased.with_biases();
  check_tiled(biased);
  check_tiled(AttentionCase(layout_of({0}, {1}), 1, {1, 1, 1}));
  check_tiled(AttentionCase(layout_of({}, {}), 3, {2, 2, 4}));
  check_tiled(AttentionCase(layout_of({0, 0}, {0, 0}), 0, {2, 1, 4}));
}

TEST_CASE("attention: the number of threads does not matter") {
  AttentionCase c(causal({700, 3, 150}), 853, {2, 2, 20});
  c.with_biases();
  const AttentionLayout layout = in_dtype(c.layout, DType::f32);
  const int threads = thread_count();
  for (const DType dtype : {DType::f32, DType::bf16}) {
    CAPTURE(dtype);
    const std::vector<Tensor> in = c.inputs_in(dtype);
    std::vector<Tensor> first;
    for (const int count : {1, 2, 3}) {
      set_thread_count(count);
      const auto forward = ops::attention(in[0], in[1], in[2], layout);
      const auto [dq, dk, dv] = ops::attention_backward(in[0], in[0], in[1], in[2], forward, layout);
      const std::vector<Tensor> now = {forward.o, forward.lse, dq, dk, dv};
      if (first.empty()) first = now;
      for (size_t i = 0; i < now.size(); ++i) CHECK(bit_equal(now[i], first[i]));
    }
  }
  set_thread_count(threads);
}

TEST_CASE("attention: memory grows with T, not with T x M") {
  const AttentionCase c(causal({1600}), 1600, {1, 1, 4});
  const std::vector<Tensor> in = c.inputs_in(DType::f32);
  Allocator& memory = allocator(Device::cpu());
  memory.reset_peak();
  const int64_t before = memory.statistics().allocated_bytes;
  const auto forward = ops::attention(in[0], in[1], in[2], c.layout);
  ops::attention_backward(in[0], in[0], in[1], in[2], forward, c.layout);
  CHECK(memory.statistics().peak_bytes - before < 5 * static_cast<int64_t>(in[0].bytes()));
  CHECK(memory.statistics().peak_bytes - before < 1600 * 1600 * 4 / 10);
}

TEST_CASE("attention: gradients of variables of bf16 are f32") {
  const AttentionCase c(causal({9, 4}), 13, {2, 1, 8});
  std::vector<autograd::Variable> leaves;
  for (const Tensor& input : c.inputs_in(DType::bf16)) leaves.emplace_back(input, true);
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

TEST_CASE("attention: errors") {
  const AttentionCase c(causal({4}), 4, {2, 1, 3});
  const Tensor &q = c.inputs[0], &k = c.inputs[1];
  const auto run = [&](const std::vector<int32_t>& begin, const std::vector<int32_t>& end) {
    ops::attention(q, k, k, layout_of(begin, end));
  };
  CHECK_THROWS_WITH_AS(run({0, 0, 2, 0}, {1, 2, 3, 4}),
                       "attention: query 3 has keys 0 to 4 after 2 to 3; ranges must not go back", Error);
  CHECK_THROWS_WITH_AS(run({0, 0, 0, 0}, {1, 2, 3, 5}),
                       "attention: query 3 has keys 0 to 5, expected a range within 0 to 4", Error);
  CHECK_THROWS_AS(run({0, 0, 0, 0}, {1, 2, 1, 4}), Error);
  CHECK_THROWS_AS(run({0, 2, 2, 2}, {1, 1, 3, 4}), Error);
  CHECK_THROWS_AS(run({-1, 0, 0, 0}, {1, 2, 3, 4}), Error);
  CHECK_THROWS_AS(run({0, 0, 0}, {1, 2, 3}), Error);
  CHECK_THROWS_AS(ops::attention(q, random_tensor({4, 3, 3}, DType::f64, 1),
                                 random_tensor({4, 3, 3}, DType::f64, 1), c.layout),
                  Error);
  CHECK_THROWS_AS(ops::attention(q, k, k.to(DType::f32), c.layout), Error);
  CHECK_THROWS_AS(ops::attention(q, k, k, c.layout, DType::bf16), Error);
  AttentionLayout biased = c.layout;
  biased.key_bias = Tensor::zeros({3}, DType::f64);
  CHECK_THROWS_AS(ops::attention(q, k, k, biased), Error);
}

}  // namespace dlcm::test
