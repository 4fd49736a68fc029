#include <doctest/doctest.h>

#include "autograd/ops.h"
#include "tests/op_check.h"
#include "tests/ops/attention_case.h"

namespace dlcm::test {
namespace {

using autograd::Variable;

void check_dense(const AttentionCase& c) {
  OperatorCase operator_case;
  operator_case.name = "dense_attention";
  operator_case.inputs = c.inputs;
  operator_case.run = [&c](const std::vector<Tensor>& in) -> std::vector<Tensor> {
    return {ops::dense_attention(in[0], in[1], in[2], in_dtype(c.layout, in[0].dtype())).o};
  };
  operator_case.reference = [&c](const std::vector<Tensor>& in) -> std::vector<Tensor> {
    return {reference_attention(in, c.layout)[0]};
  };
  operator_case.differentiable = [&c](const std::vector<Variable>& in) -> std::vector<Variable> {
    return {autograd::dense_attention(in[0], in[1], in[2], in_dtype(c.layout, in[0].dtype()))};
  };
  operator_case.gradients.max_elements = 12;
  check_operator(operator_case);
}

}  // namespace

TEST_CASE("dense_attention: values and gradients") {
  check_dense(AttentionCase(causal({1, 2, 5, 17}), 25, {2, 1, 8}));
  AttentionCase biased(cross({3, 1, 20, 12}, 3), 25, {6, 2, 5});
  biased.with_biases();
  check_dense(biased);
}

TEST_CASE("dense_attention: probabilities are kept, 0 outside the range, of sum 1 within it") {
  AttentionCase c(layout_of({0, 0, 2, 3}, {0, 3, 4, 4}), 5, {4, 2, 3});  // the first query sees nothing
  c.with_biases();
  const auto result = ops::dense_attention(c.inputs[0], c.inputs[1], c.inputs[2], c.layout);
  REQUIRE(result.probability.shape() == Shape{4, 4, 5});
  const double* p = result.probability.data<double>();
  for (int64_t head = 0; head < 4; ++head) {
    for (int64_t t = 0; t < 4; ++t) {
      double sum = 0;
      for (int64_t key = 0; key < 5; ++key) {
        const bool seen =
            c.layout.key_begin.data<int32_t>()[t] <= key && key < c.layout.key_end.data<int32_t>()[t];
        CHECK((p[(head * 4 + t) * 5 + key] > 0) == seen);
        sum += p[(head * 4 + t) * 5 + key];
      }
      CHECK(sum == doctest::Approx(t == 0 ? 0.0 : 1.0).epsilon(1e-14));
    }
  }
  CHECK(bit_equal(result.o.slice(0, 1), Tensor::zeros({1, 4, 3}, DType::f64)));
}

TEST_CASE("dense_attention: an empty range and an unseen key take no gradient") {
  const AttentionCase c(layout_of({0, 0, 3, 3}, {0, 3, 3, 4}), 5, {2, 1, 4});
  const Tensor &q = c.inputs[0], &k = c.inputs[1], &v = c.inputs[2];
  const auto result = ops::dense_attention(q, k, v, c.layout);
  const Tensor d_o = Tensor::full(q.shape(), 1.0, DType::f64);
  const auto gradients = ops::dense_attention_backward(d_o, q, k, v, result.probability);
  for (const int64_t t : {0, 2})
    CHECK(bit_equal(gradients.dq.slice(t, t + 1), Tensor::zeros({1, 2, 4}, DType::f64)));
  CHECK(bit_equal(gradients.dk.slice(4, 5), Tensor::zeros({1, 1, 4}, DType::f64)));
  CHECK(bit_equal(gradients.dv.slice(4, 5), Tensor::zeros({1, 1, 4}, DType::f64)));
}

TEST_CASE("dense_attention: errors bear its name") {
  const AttentionCase c(causal({4}), 4, {2, 1, 3});
  const Tensor &q = c.inputs[0], &k = c.inputs[1];
  CHECK_THROWS_AS(ops::dense_attention(q, k, random_tensor({4, 1, 2}, DType::f64, 1), c.layout), Error);
  CHECK_THROWS_WITH_AS(ops::dense_attention(q, k, k, layout_of({0, 0, 0, 0}, {1, 2, 3, 5})),
                       "dense_attention: query 3 has keys 0 to 5, expected a range within 0 to 4", Error);
  CHECK_THROWS_WITH_AS(
      ops::dense_attention_backward(q, q, k, k, Tensor::zeros({2, 4, 3}, DType::f64)),
      "dense_attention_backward: d_o has shape [4, 2, 3], probability [2, 4, 3], q [4, 2, 3], "
      "k [4, 1, 3]",
      Error);
}

}  // namespace dlcm::test
