#include <cmath>
#include <string>
#include <utility>

#include <doctest/doctest.h>

#include "tensor/ops/attention_kernels.h"
#include "tests/op_check.h"
#include "tests/ops/attention_case.h"

namespace dlcm::test {
namespace {

using ops::AttentionLayout;

void check_dense_is_tiled(const AttentionCase& c) {
  const Tensor &q = c.inputs[0], &k = c.inputs[1], &v = c.inputs[2];
  const auto tiled = ops::attention(q, k, v, c.layout);
  const auto dense = ops::dense_attention(q, k, v, c.layout);
  const Tensor d_o = random_tensor(q.shape(), DType::f64, 30);
  const auto found = ops::attention_backward(d_o, q, k, v, tiled, c.layout);
  const auto expected = ops::dense_attention_backward(d_o, q, k, v, dense.probability);
  CHECK_CLOSE(found.dq, expected.dq, 1e-11);
  CHECK_CLOSE(found.dk, expected.dk, 1e-11);
  CHECK_CLOSE(found.dv, expected.dv, 1e-11);
}

// Of gradients the error of a sum follows the largest of its terms: all elements are measured together. A
// probability and ds are rounded to 8 bits, an error of 1/512 of each at most; of many they cancel.
void check_rounded_gradient(const std::string& name, const Tensor& found, const Tensor& expected) {
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
  CHECK(std::sqrt(error) <= std::sqrt(norm) / 128 + 1e-6);
}

// Against the operands as rounded, in float64.
void check_rounded(const AttentionCase& c) {
  const std::vector<Tensor> in = c.inputs_in(DType::bf16);
  const AttentionLayout layout = in_dtype(c.layout, DType::f32);
  const AttentionLayout exact_layout = in_dtype(layout, DType::f64);
  std::vector<Tensor> exact;
  for (const Tensor& input : in) exact.push_back(input.to(DType::f64));
  const Tensor d_o = random_tensor(in[0].shape(), DType::f32, 30);
  const auto found =
      ops::attention_backward(d_o, in[0], in[1], in[2], ops::attention(in[0], in[1], in[2], layout), layout);
  const auto expected =
      ops::attention_backward(d_o.to(DType::f64), exact[0], exact[1], exact[2],
                              ops::attention(exact[0], exact[1], exact[2], exact_layout), exact_layout);
  check_rounded_gradient("dq", found.dq, expected.dq);
  check_rounded_gradient("dk", found.dk, expected.dk);
  check_rounded_gradient("dv", found.dv, expected.dv);
}

}  // namespace

TEST_CASE("attention backward: tiled equals dense, bf16 equals float64 of the rounded operands") {
  for (const AttentionCase& c : attention_cases()) {
    check_dense_is_tiled(c);
    check_rounded(c);
  }
  check_rounded(AttentionCase(layout_of({0, 0}, {0, 0}), 0, {2, 1, 4}));
}

TEST_CASE("attention backward: empty ranges and keys that nobody sees take no gradient") {
  const AttentionCase c(layout_of({0, 0, 3, 3}, {0, 3, 3, 4}), 5, {2, 1, 4});
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const std::vector<Tensor> in = c.inputs_in(dtype);
    const auto result = ops::attention(in[0], in[1], in[2], c.layout);
    const Tensor d_o = Tensor::full(in[0].shape(), 1.0);
    const auto gradients = ops::attention_backward(d_o, in[0], in[1], in[2], result, c.layout);
    for (const int64_t t : {0, 2}) CHECK(bit_equal(gradients.dq.slice(t, t + 1), Tensor::zeros({1, 2, 4})));
    CHECK(bit_equal(gradients.dk.slice(4, 5), Tensor::zeros({1, 1, 4})));
    CHECK(bit_equal(gradients.dv.slice(4, 5), Tensor::zeros({1, 1, 4})));
  }
}

TEST_CASE("attention backward: dq of a row has the same bits alone and among others") {
  AttentionCase c(causal({30, 150}), 180, {4, 2, 20});
  c.with_biases();
  const std::vector<Tensor> in = c.inputs_in(DType::f32);
  const AttentionLayout layout = in_dtype(c.layout, DType::f32);
  const Tensor d_o = random_tensor(in[0].shape(), DType::f32, 31);
  const auto whole = ops::attention(in[0], in[1], in[2], layout);
  const Tensor dq = ops::attention_backward(d_o, in[0], in[1], in[2], whole, layout).dq;
  for (const auto& [begin, end] : std::vector<std::pair<int64_t, int64_t>>{
           {0, 1}, {29, 30}, {30, 31}, {93, 95}, {100, 120}, {179, 180}}) {
    const auto part = [b = begin, e = end](const Tensor& x) { return x.slice(b, e); };
    const AttentionLayout rows = rows_of(layout, begin, end);
    const auto alone = ops::attention(part(in[0]), in[1], in[2], rows);
    CHECK(bit_equal(ops::attention_backward(part(d_o), part(in[0]), in[1], in[2], alone, rows).dq, part(dq)));
  }
}

TEST_CASE("attention backward: o and d_o of bf16") {
  const AttentionCase c(causal({30, 50}), 80, {2, 1, 20});
  const std::vector<Tensor> in = c.inputs_in(DType::bf16);
  const auto wide = ops::attention(in[0], in[1], in[2], c.layout);
  const auto narrow = ops::attention(in[0], in[1], in[2], c.layout, DType::bf16);
  const Tensor d_o = random_tensor(in[0].shape(), DType::bf16, 30);
  const auto found = ops::attention_backward(d_o, in[0], in[1], in[2], narrow, c.layout);
  const auto expected = ops::attention_backward(d_o.to(DType::f32), in[0], in[1], in[2], wide, c.layout);
  check_rounded_gradient("dq", found.dq, expected.dq);
  CHECK(bit_equal(found.dv, expected.dv));
}

}  // namespace dlcm::test
