#include "tensor/ops/boundary_probability.h"

#include <cmath>

#include <doctest/doctest.h>

#include "autograd/ops.h"
#include "tests/op_check.h"

using namespace dlcm;
using namespace dlcm::test;

namespace {

Tensor naive_probability(const Tensor& q, const Tensor& k, const Tensor& cu_seqlens) {
  const Tensor p = Tensor::empty({q.size(0)}, DType::f64);
  const int64_t d = q.size(1);
  for (int64_t document = 0; document + 1 < cu_seqlens.numel(); ++document) {
    const int64_t first = cu_seqlens.data<int32_t>()[document];
    for (int64_t t = first; t < cu_seqlens.data<int32_t>()[document + 1]; ++t) {
      if (t == first) {
        p.data<double>()[t] = 1;
        continue;
      }
      double dot = 0, qq = 0, kk = 0;
      for (int64_t i = 0; i < d; ++i) {
        const double a = q.data<double>()[(t - 1) * d + i], b = k.data<double>()[t * d + i];
        dot += a * b;
        qq += a * a;
        kk += b * b;
      }
      p.data<double>()[t] = (1 - dot / std::sqrt(qq * kk)) / 2;
    }
  }
  return p;
}

void check_probability(int64_t d, const Tensor& cu_seqlens) {
  const int64_t tokens = cu_seqlens.data<int32_t>()[cu_seqlens.numel() - 1];
  OperatorCase c;
  c.name = concat("boundary_probability of ", tokens, " tokens of width ", d);
  c.inputs = {random_tensor({tokens, d}, DType::f64, 1), random_tensor({tokens, d}, DType::f64, 2)};
  c.run = [=](const auto& in) { return std::vector{ops::boundary_probability(in[0], in[1], cu_seqlens)}; };
  c.reference = [=](const auto& in) { return std::vector{naive_probability(in[0], in[1], cu_seqlens)}; };
  c.differentiable = [=](const auto& in) {
    return std::vector{autograd::boundary_probability(in[0], in[1], cu_seqlens)};
  };
  check_operator(c);
}

}  // namespace

TEST_CASE("boundary_probability restarts at each document") {
  check_probability(8, Tensor::from<int32_t>({0, 3, 4, 9}));
  check_probability(70, Tensor::from<int32_t>({0, 6}));
  check_probability(3, Tensor::from<int32_t>({0, 1}));
  check_probability(3, Tensor::from<int32_t>({0}));
  check_probability(96, Tensor::from<int32_t>({0, 150, 500}));
}

TEST_CASE("boundary_probability: one function for batches and single steps") {
  const int64_t tokens = 50, d = 100;
  const Tensor q = random_tensor({tokens, d}, DType::f32, 3), k = random_tensor({tokens, d}, DType::f32, 4);
  const Tensor p = ops::boundary_probability(q, k, Tensor::from<int32_t>({0, 50}));
  for (int64_t t = 1; t < tokens; ++t) {
    CHECK(ops::boundary_probability_of(q.data<float>() + (t - 1) * d, k.data<float>() + t * d, d) ==
          p.data<float>()[t]);
  }
}

TEST_CASE("boundary_probability of equal, opposite, zero and tiny vectors") {
  const Tensor x = random_tensor({1, 40}, DType::f32, 5);
  std::vector<float> opposite = x.to_vector<float>();
  for (float& value : opposite) value = -value;
  const std::vector<float> zero(40, 0.0f), tiny(40, 1e-30f);
  const float* a = x.data<float>();
  const float same = ops::boundary_probability_of(a, a, 40);
  CHECK(same >= 0);
  CHECK(same < 1e-6f);
  const float other = ops::boundary_probability_of(a, opposite.data(), 40);
  CHECK(other <= 1);
  CHECK(other > 1 - 1e-6f);
  CHECK(ops::boundary_probability_of(a, zero.data(), 40) == 0.5f);
  CHECK(ops::boundary_probability_of(zero.data(), zero.data(), 40) == 0.5f);
  CHECK(ops::boundary_probability_of(tiny.data(), tiny.data(), 40) == 0.5f);
}

TEST_CASE("boundary_probability_backward: zero vectors and first tokens give no gradient") {
  const Tensor q = random_tensor({4, 6}, DType::f64, 6), k = random_tensor({4, 6}, DType::f64, 7);
  q.slice(1, 2).fill(0);
  const auto [dq, dk] = ops::boundary_probability_backward(Tensor::full({4}, 1.0, DType::f64), q, k,
                                                           Tensor::from<int32_t>({0, 3, 4}));
  const auto is_zero = [](const Tensor& row) { return bit_equal(row, row.zeros_like()); };
  CHECK(is_zero(dk.slice(0, 1)));  // first token of a document
  CHECK(is_zero(dk.slice(3, 4)));  // likewise
  CHECK(is_zero(dq.slice(2, 4)));  // last tokens
  CHECK(is_zero(dq.slice(1, 2)));  // zero vector
  CHECK(is_zero(dk.slice(2, 3)));  // its pair
  CHECK_FALSE(is_zero(dq.slice(0, 1)));
  CHECK_FALSE(is_zero(dk.slice(1, 2)));
}

TEST_CASE("boundary_probability errors") {
  const Tensor q = Tensor::zeros({4, 2});
  const Tensor whole = Tensor::from<int32_t>({0, 4});
  CHECK_THROWS_WITH_AS(ops::boundary_probability(q, Tensor::zeros({3, 2}), whole),
                       "boundary_probability: q has shape [4, 2], k [3, 2]; expected two alike of rank 2",
                       Error);
  CHECK_THROWS_AS(ops::boundary_probability(q, q, Tensor::from<int32_t>({0, 5})), Error);
  CHECK_THROWS_AS(ops::boundary_probability_backward(Tensor::zeros({3}), q, q, whole), Error);
}
