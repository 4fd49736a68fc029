#include "tensor/ops/attention.h"

#include <cmath>
#include <limits>

#include <doctest/doctest.h>

#include "autograd/ops.h"
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

void check_dense_is_tiled(const AttentionCase& c) {
  const Tensor &q = c.inputs[0], &k = c.inputs[1], &v = c.inputs[2];
  const auto tiled = ops::attention(q, k, v, c.layout);
  const auto dense = ops::dense_attention(q, k, v, c.layout);
  CHECK_CLOSE(tiled.o, dense.o, 1e-12);
  const Tensor d_o = random_tensor(q.shape(), DType::f64, 30);
  const auto found = ops::attention_backward(d_o, q, k, v, tiled, c.layout);
  const auto expected = ops::dense_attention_backward(d_o, q, k, v, dense.probability);
  CHECK_CLOSE(found.dq, expected.dq, 1e-11);
  CHECK_CLOSE(found.dk, expected.dk, 1e-11);
  CHECK_CLOSE(found.dv, expected.dv, 1e-11);
}

const std::vector<int32_t> kLengths = {1, 2, 63, 64, 65, 130};

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

TEST_CASE("attention: tiled equals dense, forward and backward") {
  check_dense_is_tiled(AttentionCase(causal(kLengths), 325, {4, 2, 12}));
  check_dense_is_tiled(AttentionCase(cross(kLengths, 4), 90, {3, 3, 16}));
  check_dense_is_tiled(AttentionCase(window(200, 70), 200, {2, 1, 8}));
  check_dense_is_tiled(AttentionCase(window(700, 550), 700, {1, 1, 4}));
  check_dense_is_tiled(
      AttentionCase(causal({600, 30, 1100}), 1730, {1, 1, 4}));  // several blocks of keys and of rows
  check_dense_is_tiled(AttentionCase(layout_of({0, 2, 2, 5, 5, 9}, {4, 4, 6, 6, 9, 9}), 12, {5, 1, 3}));
  AttentionCase biased(cross(kLengths, 2), 170, {4, 1, 7});
  biased.with_biases();
  check_dense_is_tiled(biased);
  biased.layout.key_bias = Tensor();
  check_dense_is_tiled(biased);
  biased.with_biases();
  biased.layout.last_bias = Tensor();
  check_dense_is_tiled(biased);
}

TEST_CASE("attention: an empty range gives 0 and takes no gradient") {
  const AttentionCase c(layout_of({0, 0, 3, 3}, {0, 3, 3, 4}), 5, {2, 1, 4});
  const Tensor q = c.inputs[0].to(DType::f32), k = c.inputs[1].to(DType::f32), v = c.inputs[2].to(DType::f32);
  const auto result = ops::attention(q, k, v, c.layout);
  const auto gradients = ops::attention_backward(Tensor::full(q.shape(), 1.0), q, k, v, result, c.layout);
  for (const int64_t t : {0, 2}) {
    CHECK(bit_equal(result.o.slice(t, t + 1), Tensor::zeros({1, 2, 4})));
    CHECK(bit_equal(gradients.dq.slice(t, t + 1), Tensor::zeros({1, 2, 4})));
    CHECK(result.lse.data<float>()[t * 2] == -std::numeric_limits<float>::infinity());
  }
  CHECK(bit_equal(gradients.dk.slice(4, 5), Tensor::zeros({1, 1, 4})));  // nobody sees the last key
  CHECK(bit_equal(gradients.dv.slice(4, 5), Tensor::zeros({1, 1, 4})));
}

TEST_CASE("attention: huge scores and unseen huge keys") {
  AttentionCase c(causal({40}), 40, {1, 1, 8});
  for (int64_t i = 0; i < c.inputs[0].numel(); ++i) c.inputs[0].data<double>()[i] *= 1e4;
  for (int64_t i = 8 * 20; i < 8 * 40; ++i) {  // the second half of the keys and values
    c.inputs[1].data<double>()[i] *= 1e30;
    c.inputs[2].data<double>()[i] *= 1e30;
  }
  const Tensor q = c.inputs[0].to(DType::f32), k = c.inputs[1].to(DType::f32), v = c.inputs[2].to(DType::f32);
  const auto whole = ops::attention(q, k, v, c.layout);
  const AttentionLayout first = {c.layout.key_begin.slice(0, 20), c.layout.key_end.slice(0, 20), {}, {}};
  const auto alone = ops::attention(q.slice(0, 20), k.slice(0, 20), v.slice(0, 20), first);
  CHECK(bit_equal(whole.o.slice(0, 20), alone.o));
  CHECK_CLOSE(alone.o,
              reference_attention({q.slice(0, 20).to(DType::f64), k.slice(0, 20).to(DType::f64),
                                   v.slice(0, 20).to(DType::f64)},
                                  first)[0],
              1e-4);
}

// Eq. 17: a key that stands n times is a key with log n added to its score.
TEST_CASE("attention: replicated keys equal a bias of log n") {
  const std::vector<int32_t> counts = {1, 4, 2, 7, 3};
  AttentionCase c(cross({23, 0}, 5), 5, {2, 2, 6});
  std::vector<int32_t> first = {0};
  std::vector<double> bias, keys, values;
  for (size_t j = 0; j < counts.size(); ++j) {
    bias.push_back(std::log(counts[j]));
    first.push_back(first.back() + counts[j]);
    for (int32_t i = 0; i < counts[j]; ++i) {
      const auto append = [&](const Tensor& x, std::vector<double>& to) {
        const double* from = x.data<double>() + j * 12;
        to.insert(to.end(), from, from + 12);
      };
      append(c.inputs[1], keys);
      append(c.inputs[2], values);
    }
  }
  std::vector<int32_t> ends;
  for (const int32_t end : c.layout.key_end.to_vector<int32_t>())
    ends.push_back(first[static_cast<size_t>(end)]);
  const AttentionLayout replicated = {c.layout.key_begin, Tensor::from(ends), {}, {}};
  c.layout.key_bias = Tensor::from(bias);
  const auto expected = ops::attention(c.inputs[0], Tensor::from({17, 2, 6}, keys),
                                       Tensor::from({17, 2, 6}, values), replicated);
  const auto found = ops::attention(c.inputs[0], c.inputs[1], c.inputs[2], c.layout);
  CHECK_CLOSE(found.o, expected.o, 1e-13);
  CHECK_CLOSE(found.lse, expected.lse, 1e-13);
}

TEST_CASE("attention: a row has the same bits alone and among others") {
  AttentionCase c(causal({30, 150}), 180, {4, 2, 20});
  c.with_biases();
  const Tensor q = c.inputs[0].to(DType::f32), k = c.inputs[1].to(DType::f32), v = c.inputs[2].to(DType::f32);
  const AttentionLayout layout = in_dtype(c.layout, DType::f32);
  const auto whole = ops::attention(q, k, v, layout);
  const Tensor d_o = random_tensor(q.shape(), DType::f32, 31);
  const Tensor dq = ops::attention_backward(d_o, q, k, v, whole, layout).dq;
  for (const auto& [begin, end] : std::vector<std::pair<int64_t, int64_t>>{
           {0, 1}, {29, 30}, {30, 31}, {93, 95}, {100, 120}, {179, 180}}) {
    const auto part = [b = begin, e = end](const Tensor& x) { return x.slice(b, e); };
    const AttentionLayout rows = {part(layout.key_begin), part(layout.key_end), layout.key_bias,
                                  part(layout.last_bias)};
    const auto alone = ops::attention(part(q), k, v, rows);
    CHECK(bit_equal(alone.o, part(whole.o)));
    CHECK(bit_equal(alone.lse, part(whole.lse)));
    CHECK(bit_equal(ops::attention_backward(part(d_o), part(q), k, v, alone, rows).dq, part(dq)));
  }
}

TEST_CASE("attention: the number of threads does not matter") {
  const AttentionCase c(causal({700, 3, 150}), 853, {2, 2, 8});
  const Tensor q = c.inputs[0].to(DType::f32), k = c.inputs[1].to(DType::f32), v = c.inputs[2].to(DType::f32);
  const int threads = thread_count();
  std::vector<Tensor> first;
  for (const int count : {1, 2, 3}) {
    set_thread_count(count);
    const auto forward = ops::attention(q, k, v, c.layout);
    const auto [dq, dk, dv] = ops::attention_backward(q, q, k, v, forward, c.layout);
    const std::vector<Tensor> now = {forward.o, forward.lse, dq, dk, dv};
    if (first.empty()) first = now;
    for (size_t i = 0; i < now.size(); ++i) CHECK(bit_equal(now[i], first[i]));
  }
  set_thread_count(threads);
}

TEST_CASE("attention: memory grows with T, not with T x M") {
  const AttentionCase c(causal({1600}), 1600, {1, 1, 4});
  const Tensor q = c.inputs[0].to(DType::f32), k = c.inputs[1].to(DType::f32), v = c.inputs[2].to(DType::f32);
  Allocator& memory = allocator(Device::cpu());
  memory.reset_peak();
  const int64_t before = memory.statistics().allocated_bytes;
  const auto forward = ops::attention(q, k, v, c.layout);
  ops::attention_backward(q, q, k, v, forward, c.layout);
  CHECK(memory.statistics().peak_bytes - before < 5 * static_cast<int64_t>(q.bytes()));
  CHECK(memory.statistics().peak_bytes - before < 1600 * 1600 * 4 / 10);
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
  AttentionLayout biased = c.layout;
  biased.key_bias = Tensor::zeros({3}, DType::f64);
  CHECK_THROWS_AS(ops::attention(q, k, k, biased), Error);
}

}  // namespace dlcm::test
