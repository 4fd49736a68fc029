#include "tests/ops/attention_case.h"

#include <algorithm>
#include <cmath>

#include "tests/op_check.h"

namespace dlcm::test {

using ops::AttentionLayout;

namespace {

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

}  // namespace

AttentionLayout layout_of(const std::vector<int32_t>& begin, const std::vector<int32_t>& end) {
  return {Tensor::from(begin), Tensor::from(end), {}, {}};
}

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

AttentionCase::AttentionCase(AttentionLayout ranges, int64_t keys, AttentionSizes sizes, uint64_t seed)
    : layout(std::move(ranges)) {
  const int64_t tokens = layout.key_begin.numel();
  inputs = {random_tensor({tokens, sizes.heads, sizes.head_dim}, DType::f64, seed, 2.0),
            random_tensor({keys, sizes.kv_heads, sizes.head_dim}, DType::f64, seed + 1),
            random_tensor({keys, sizes.kv_heads, sizes.head_dim}, DType::f64, seed + 2)};
}

void AttentionCase::with_biases() {
  layout.key_bias = random_tensor({inputs[1].size(0)}, DType::f64, 20);
  layout.last_bias = random_tensor({inputs[0].size(0)}, DType::f64, 21);
}

std::vector<AttentionCase> attention_cases() {
  const std::vector<int32_t> lengths = {1, 2, 63, 64, 65, 130};
  std::vector<AttentionCase> cases = {
      AttentionCase(causal({1, 2, 5, 70}), 78, {2, 1, 8}),
      AttentionCase(causal(lengths), 325, {4, 2, 12}),
      AttentionCase(causal(lengths), 325, {4, 2, 64}),
      AttentionCase(cross(lengths, 4), 90, {3, 3, 16}),
      AttentionCase(window(200, 70), 200, {2, 1, 12}),
      AttentionCase(window(700, 550), 700, {1, 1, 4}),
      AttentionCase(causal({600, 30, 1100}), 1730, {1, 1, 4}),  // several blocks of keys and of rows
      AttentionCase(layout_of({0, 2, 2, 5, 5, 9}, {4, 4, 6, 6, 9, 9}), 12, {5, 1, 3}),
      AttentionCase(layout_of({0}, {1}), 1, {1, 1, 1})};
  for (const AttentionCase& plain : {AttentionCase(cross({3, 1, 40, 12}, 3), 25, {6, 2, 5}),
                                     AttentionCase(cross(lengths, 2), 170, {4, 1, 7})}) {
    AttentionCase both = plain;
    both.with_biases();
    AttentionCase last = both, all = both;
    last.layout.key_bias = Tensor();
    all.layout.last_bias = Tensor();
    cases.insert(cases.end(), {both, last, all});
  }
  return cases;
}

std::vector<Tensor> AttentionCase::inputs_in(DType dtype) const {
  std::vector<Tensor> result;
  for (const Tensor& input : inputs) result.push_back(input.to(dtype));
  return result;
}

AttentionLayout in_dtype(const AttentionLayout& layout, DType dtype) {
  const auto convert = [&](const Tensor& bias) { return bias.defined() ? bias.to(dtype) : bias; };
  return {layout.key_begin, layout.key_end, convert(layout.key_bias), convert(layout.last_bias)};
}

AttentionLayout rows_of(const AttentionLayout& layout, int64_t begin, int64_t end) {
  const auto part = [&](const Tensor& x) { return x.defined() ? x.slice(begin, end) : x; };
  return {part(layout.key_begin), part(layout.key_end), layout.key_bias, part(layout.last_bias)};
}

std::vector<Tensor> reference_attention(const std::vector<Tensor>& in, const AttentionLayout& layout) {
  const int64_t tokens = in[0].size(0), heads = in[0].size(1);
  const Tensor o = in[0].zeros_like();
  const Tensor lse = Tensor::zeros({tokens, heads}, DType::f64);
  for (int64_t index = 0; index < tokens * heads; ++index) {
    lse.data<double>()[index] =
        reference_query(in, layout, index / heads, index % heads, o.data<double>() + index * in[0].size(2));
  }
  return {o, lse};
}

}  // namespace dlcm::test
