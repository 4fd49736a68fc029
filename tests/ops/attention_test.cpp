#include "tensor/ops/attention.h"

#include <cmath>
#include <limits>

#include <doctest/doctest.h>

#include "autograd/ops.h"
#include "tensor/allocator.h"
#include "tensor/parallel.h"
#include "tests/op_check.h"

namespace dlcm::test {
namespace {

using autograd::Variable;
using ops::AttentionLayout;

AttentionLayout layout_of(const std::vector<int32_t>& begin, const std::vector<int32_t>& end) {
  return {Tensor::from(begin), Tensor::from(end), {}, {}};
}

// Causal self-attention of documents laid end to end.
AttentionLayout causal(const std::vector<int32_t>& lengths) {
  std::vector<int32_t> begin, end;
  int32_t start = 0;
  for (const int32_t length : lengths) {
    for (int32_t i = 0; i < length; ++i) {
      begin.push_back(start);
      end.push_back(start + i + 1);
    }
    start += length;
  }
  return layout_of(begin, end);
}

// Tokens of documents to their concepts so far, one new concept every few tokens; none at first.
AttentionLayout cross(const std::vector<int32_t>& lengths, int32_t tokens_per_concept) {
  std::vector<int32_t> begin, end;
  int32_t start = 0;
  for (const int32_t length : lengths) {
    for (int32_t i = 0; i < length; ++i) {
      begin.push_back(start);
      end.push_back(start + i / tokens_per_concept);
    }
    start += (length + tokens_per_concept - 1) / tokens_per_concept;
  }
  return layout_of(begin, end);
}

AttentionLayout window(int32_t tokens, int32_t width) {
  std::vector<int32_t> begin, end;
  for (int32_t t = 0; t < tokens; ++t) {
    begin.push_back(std::max(0, t + 1 - width));
    end.push_back(t + 1);
  }
  return layout_of(begin, end);
}

struct Sizes {
  int64_t heads, kv_heads, head_dim;
};

struct Case {
  AttentionLayout layout;
  std::vector<Tensor> inputs;  // q, k, v in f64

  Case(AttentionLayout ranges, int64_t keys, Sizes sizes, uint64_t seed = 1) : layout(std::move(ranges)) {
    const int64_t tokens = layout.key_begin.numel();
    inputs = {random_tensor({tokens, sizes.heads, sizes.head_dim}, DType::f64, seed, 2.0),
              random_tensor({keys, sizes.kv_heads, sizes.head_dim}, DType::f64, seed + 1),
              random_tensor({keys, sizes.kv_heads, sizes.head_dim}, DType::f64, seed + 2)};
  }
  void with_biases() {
    layout.key_bias = random_tensor({inputs[1].size(0)}, DType::f64, 20);
    layout.last_bias = random_tensor({inputs[0].size(0)}, DType::f64, 21);
  }
};

AttentionLayout in_dtype(const AttentionLayout& layout, DType dtype) {
  const auto convert = [&](const Tensor& bias) { return bias.defined() ? bias.to(dtype) : bias; };
  return {layout.key_begin, layout.key_end, convert(layout.key_bias), convert(layout.last_bias)};
}

// One query of one head, from the definition; returns its log sum exp.
double reference_query(const std::vector<Tensor>& in, const AttentionLayout& layout, int64_t t, int64_t head,
                       double* o) {
  const int64_t heads = in[0].size(1), kv_heads = in[1].size(1), d = in[0].size(2);
  const int32_t begin = layout.key_begin.data<int32_t>()[t], end = layout.key_end.data<int32_t>()[t];
  const double* q = in[0].data<double>() + (t * heads + head) * d;
  const auto row = [&](const Tensor& x, int32_t key) {
    return x.data<double>() + (key * kv_heads + head / (heads / kv_heads)) * d;
  };
  std::vector<double> scores;
  double highest = -INFINITY;
  for (int32_t key = begin; key < end; ++key) {
    double score = 0;
    for (int64_t i = 0; i < d; ++i) score += q[i] * row(in[1], key)[i];
    score /= std::sqrt(static_cast<double>(d));
    if (key == end - 1 && layout.last_bias.defined()) {
      score += layout.last_bias.data<double>()[t];
    } else if (layout.key_bias.defined()) {
      score += layout.key_bias.data<double>()[key];
    }
    scores.push_back(score);
    highest = std::max(highest, score);
  }
  double total = 0;
  for (const double score : scores) total += std::exp(score - highest);
  for (int32_t key = begin; key < end; ++key) {
    const double p = std::exp(scores[static_cast<size_t>(key - begin)] - highest) / total;
    for (int64_t i = 0; i < d; ++i) o[i] += p * row(in[2], key)[i];
  }
  return begin == end ? -INFINITY : highest + std::log(total);
}

std::vector<Tensor> reference(const std::vector<Tensor>& in, const AttentionLayout& layout) {
  const int64_t tokens = in[0].size(0), heads = in[0].size(1);
  const Tensor o = in[0].zeros_like();
  const Tensor lse = Tensor::zeros({tokens, heads}, DType::f64);
  for (int64_t index = 0; index < tokens * heads; ++index) {
    lse.data<double>()[index] =
        reference_query(in, layout, index / heads, index % heads, o.data<double>() + index * in[0].size(2));
  }
  return {o, lse};
}

void check_tiled(const Case& c) {
  OperatorCase operator_case;
  operator_case.name = "attention";
  operator_case.inputs = c.inputs;
  operator_case.run = [&c](const std::vector<Tensor>& in) -> std::vector<Tensor> {
    const auto result = ops::attention(in[0], in[1], in[2], in_dtype(c.layout, in[0].dtype()));
    return {result.o, result.lse};
  };
  operator_case.reference = [&c](const std::vector<Tensor>& in) { return reference(in, c.layout); };
  operator_case.differentiable = [&c](const std::vector<Variable>& in) -> std::vector<Variable> {
    return {autograd::attention(in[0], in[1], in[2], in_dtype(c.layout, in[0].dtype()))};
  };
  operator_case.gradients.max_elements = 12;
  check_operator(operator_case);
}

void check_dense(const Case& c) {
  OperatorCase operator_case;
  operator_case.name = "dense_attention";
  operator_case.inputs = c.inputs;
  operator_case.run = [&c](const std::vector<Tensor>& in) -> std::vector<Tensor> {
    return {ops::dense_attention(in[0], in[1], in[2], in_dtype(c.layout, in[0].dtype())).o};
  };
  operator_case.reference = [&c](const std::vector<Tensor>& in) -> std::vector<Tensor> {
    return {reference(in, c.layout)[0]};
  };
  operator_case.differentiable = [&c](const std::vector<Variable>& in) -> std::vector<Variable> {
    return {autograd::dense_attention(in[0], in[1], in[2], in_dtype(c.layout, in[0].dtype()))};
  };
  operator_case.gradients.max_elements = 12;
  check_operator(operator_case);
}

void check_dense_is_tiled(const Case& c) {
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
  check_tiled(Case(causal({1, 2, 5, 70}), 78, {2, 1, 8}));
  Case biased(cross({3, 1, 40, 12}, 3), 25, {6, 2, 5});
  biased.with_biases();
  check_tiled(biased);
  check_tiled(Case(layout_of({0}, {1}), 1, {1, 1, 1}));
  check_tiled(Case(layout_of({}, {}), 3, {2, 2, 4}));
  check_tiled(Case(layout_of({0, 0}, {0, 0}), 0, {2, 1, 4}));
}

TEST_CASE("dense_attention: values and gradients") {
  check_dense(Case(causal({1, 2, 5, 17}), 25, {2, 1, 8}));
  Case biased(cross({3, 1, 20, 12}, 3), 25, {6, 2, 5});
  biased.with_biases();
  check_dense(biased);
}

TEST_CASE("attention: tiled equals dense, forward and backward") {
  check_dense_is_tiled(Case(causal(kLengths), 325, {4, 2, 12}));
  check_dense_is_tiled(Case(cross(kLengths, 4), 90, {3, 3, 16}));
  check_dense_is_tiled(Case(window(200, 70), 200, {2, 1, 8}));
  check_dense_is_tiled(Case(window(700, 550), 700, {1, 1, 4}));
  check_dense_is_tiled(Case(causal({600, 30, 1100}), 1730, {1, 1, 4}));  // several blocks of keys and of rows
  check_dense_is_tiled(Case(layout_of({0, 2, 2, 5, 5, 9}, {4, 4, 6, 6, 9, 9}), 12, {5, 1, 3}));
  Case biased(cross(kLengths, 2), 170, {4, 1, 7});
  biased.with_biases();
  check_dense_is_tiled(biased);
  biased.layout.key_bias = Tensor();
  check_dense_is_tiled(biased);
  biased.with_biases();
  biased.layout.last_bias = Tensor();
  check_dense_is_tiled(biased);
}

TEST_CASE("attention: an empty range gives 0 and takes no gradient") {
  const Case c(layout_of({0, 0, 3, 3}, {0, 3, 3, 4}), 5, {2, 1, 4});
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
  Case c(causal({40}), 40, {1, 1, 8});
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
  CHECK_CLOSE(
      alone.o,
      reference({q.slice(0, 20).to(DType::f64), k.slice(0, 20).to(DType::f64), v.slice(0, 20).to(DType::f64)},
                first)[0],
      1e-4);
}

// Eq. 17: a key that stands n times is a key with log n added to its score.
TEST_CASE("attention: replicated keys equal a bias of log n") {
  const std::vector<int32_t> counts = {1, 4, 2, 7, 3};
  Case c(cross({23, 0}, 5), 5, {2, 2, 6});
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
  Case c(causal({30, 150}), 180, {4, 2, 20});
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
  const Case c(causal({700, 3, 150}), 853, {2, 2, 8});
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
  const Case c(causal({1600}), 1600, {1, 1, 4});
  const Tensor q = c.inputs[0].to(DType::f32), k = c.inputs[1].to(DType::f32), v = c.inputs[2].to(DType::f32);
  Allocator& memory = allocator(Device::cpu());
  memory.reset_peak();
  const int64_t before = memory.statistics().allocated_bytes;
  const auto forward = ops::attention(q, k, v, c.layout);
  ops::attention_backward(q, q, k, v, forward, c.layout);
  const int64_t scratch = 200'000 * thread_count();  // tiles of 64 rows and 64 keys
  CHECK(memory.statistics().peak_bytes - before < 5 * static_cast<int64_t>(q.bytes()) + scratch);
  CHECK(memory.statistics().peak_bytes - before < 1600 * 1600 * 4 / 10);
}

TEST_CASE("attention: errors") {
  const Case c(causal({4}), 4, {2, 1, 3});
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
  CHECK_THROWS_AS(ops::dense_attention(q, k, random_tensor({4, 1, 2}, DType::f64, 1), c.layout), Error);
  AttentionLayout biased = c.layout;
  biased.key_bias = Tensor::zeros({3}, DType::f64);
  CHECK_THROWS_AS(ops::attention(q, k, k, biased), Error);
}

}  // namespace dlcm::test
