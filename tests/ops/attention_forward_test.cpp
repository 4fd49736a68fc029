#include <cmath>
#include <limits>
#include <utility>

#include <doctest/doctest.h>

#include "tensor/ops/attention_kernels.h"
#include "tests/op_check.h"
#include "tests/ops/attention_case.h"

namespace dlcm::test {
namespace {

using ops::AttentionLayout;

// Against the definition, from the operands as rounded to the dtype.
void check_forward(const AttentionCase& c, DType dtype, double tolerance_o, double tolerance_lse) {
  const std::vector<Tensor> in = c.inputs_in(dtype);
  std::vector<Tensor> exact;
  for (const Tensor& input : in) exact.push_back(input.to(DType::f64));
  const DType sums = dtype == DType::f64 ? DType::f64 : DType::f32;
  const AttentionLayout layout = in_dtype(c.layout, sums);
  const auto found = ops::attention(in[0], in[1], in[2], layout);
  const auto expected = reference_attention(exact, in_dtype(layout, DType::f64));
  CHECK(found.o.dtype() == sums);
  CHECK(found.lse.dtype() == sums);
  CHECK_CLOSE(found.o, expected[0], tolerance_o);
  CHECK_CLOSE(found.lse, expected[1], tolerance_lse);
}

void check_dtypes(const AttentionCase& c) {
  check_forward(c, DType::f64, 1e-12, 1e-12);
  check_forward(c, DType::f32, 1e-5, 1e-5);
  // A probability is rounded to 8 bits, an error of 1/512 of it at most.
  check_forward(c, DType::bf16, 1.0 / 128, 1e-5);
}

void check_rows_alone(const AttentionCase& c, DType dtype,
                      const std::vector<std::pair<int64_t, int64_t>>& parts) {
  const std::vector<Tensor> in = c.inputs_in(dtype);
  const AttentionLayout layout = in_dtype(c.layout, DType::f32);
  const auto whole = ops::attention(in[0], in[1], in[2], layout);
  for (const auto& [begin, end] : parts) {
    const auto alone = ops::attention(in[0].slice(begin, end), in[1], in[2], rows_of(layout, begin, end));
    CHECK(bit_equal(alone.o, whole.o.slice(begin, end)));
    CHECK(bit_equal(alone.lse, whole.lse.slice(begin, end)));
  }
}

}  // namespace

TEST_CASE("attention forward: every dtype against the definition") {
  for (const AttentionCase& c : attention_cases()) check_dtypes(c);
  check_dtypes(AttentionCase(layout_of({0, 0}, {0, 0}), 0, {2, 1, 4}));
}

TEST_CASE("attention forward: an empty range gives 0 and -inf") {
  const AttentionCase c(layout_of({0, 0, 3, 3}, {0, 3, 3, 4}), 5, {2, 1, 4});
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const std::vector<Tensor> in = c.inputs_in(dtype);
    const auto result = ops::attention(in[0], in[1], in[2], c.layout);
    for (const int64_t t : {0, 2}) {
      CHECK(bit_equal(result.o.slice(t, t + 1), Tensor::zeros({1, 2, 4})));
      CHECK(result.lse.data<float>()[t * 2] == -std::numeric_limits<float>::infinity());
    }
  }
}

TEST_CASE("attention forward: huge scores and unseen huge keys") {
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
TEST_CASE("attention forward: replicated keys equal a bias of log n") {
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

TEST_CASE("attention forward: a row has the same bits alone and among others") {
  AttentionCase c(causal({30, 150}), 180, {4, 2, 20});
  c.with_biases();
  check_rows_alone(c, DType::f32, {{0, 1}, {29, 30}, {30, 31}, {93, 95}, {100, 120}, {179, 180}});
  AttentionCase longer(causal({700, 3, 150}), 853, {2, 2, 20});
  longer.with_biases();
  check_rows_alone(longer, DType::bf16, {{0, 1}, {93, 95}, {700, 720}});
}

TEST_CASE("attention forward: o of bf16 is rounded where it is made") {
  const AttentionCase c(causal({30, 50}), 80, {2, 1, 20});
  const std::vector<Tensor> in = c.inputs_in(DType::bf16);
  const auto wide = ops::attention(in[0], in[1], in[2], c.layout);
  const auto narrow = ops::attention(in[0], in[1], in[2], c.layout, DType::bf16);
  CHECK(bit_equal(narrow.o, wide.o.to(DType::bf16)));
  CHECK(bit_equal(narrow.lse, wide.lse));
}

}  // namespace dlcm::test
