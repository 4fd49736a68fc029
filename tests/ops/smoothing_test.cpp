#include "tensor/ops/smoothing.h"

#include <cmath>

#include <doctest/doctest.h>

#include "autograd/ops.h"
#include "tests/op_check.h"

using namespace dlcm;
using namespace dlcm::test;

namespace {

// y_ki = rule(k, i, z_ki, z_{k-1,i}, y_{k-1,i}), but z_ki for a document's first concept.
template <class Rule>
Tensor naive_smoothing(const Tensor& z, const Tensor& cu_seqlens, const Rule& rule) {
  const Tensor y = z.clone();
  const int64_t d = z.size(1);
  for (int64_t document = 0; document + 1 < cu_seqlens.numel(); ++document) {
    const int64_t end = cu_seqlens.data<int32_t>()[document + 1];
    for (int64_t k = cu_seqlens.data<int32_t>()[document] + 1; k < end; ++k) {
      for (int64_t i = 0; i < d; ++i) {
        const int64_t at = k * d + i;
        y.data<double>()[at] =
            rule(k, i, z.data<double>()[at], z.data<double>()[at - d], y.data<double>()[at - d]);
      }
    }
  }
  return y;
}

OperatorCase blend_case(int64_t d, const Tensor& cu) {
  const int64_t concepts = cu.data<int32_t>()[cu.numel() - 1];
  OperatorCase c;
  c.name = concat("blend of ", concepts, " concepts of width ", d);
  c.inputs = {random_tensor({concepts, d}, DType::f64, 1), random_tensor({d}, DType::f64, 2)};
  c.run = [=](const auto& in) { return std::vector{ops::blend(in[0], in[1], cu)}; };
  c.reference = [=](const std::vector<Tensor>& in) {
    return std::vector{naive_smoothing(in[0], cu, [&](int64_t, int64_t i, double z, double before, double) {
      const double g = 1 / (1 + std::exp(-in[1].data<double>()[i]));
      return (1 - g) * z + g * before;
    })};
  };
  c.differentiable = [=](const auto& in) { return std::vector{autograd::blend(in[0], in[1], cu)}; };
  return c;
}

OperatorCase ema_case(int64_t d, const Tensor& cu) {
  const int64_t concepts = cu.data<int32_t>()[cu.numel() - 1];
  const Tensor p = random_tensor({concepts}, DType::f64, 3);
  for (int64_t k = 0; k < concepts; ++k) p.data<double>()[k] = 1 / (1 + std::exp(-p.data<double>()[k]));
  OperatorCase c;
  c.name = concat("ema of ", concepts, " concepts of width ", d);
  c.inputs = {random_tensor({concepts, d}, DType::f64, 1), p};
  c.run = [=](const auto& in) { return std::vector{ops::ema(in[0], in[1], cu)}; };
  c.reference = [=](const std::vector<Tensor>& in) {
    return std::vector{naive_smoothing(in[0], cu, [&](int64_t k, int64_t, double z, double, double before) {
      const double share = in[1].data<double>()[k];
      return share * z + (1 - share) * before;
    })};
  };
  c.differentiable = [=](const auto& in) { return std::vector{autograd::ema(in[0], in[1], cu)}; };
  return c;
}

}  // namespace

TEST_CASE("blend and ema restart at each document") {
  for (const auto& [d, cu] : std::vector<std::pair<int64_t, std::vector<int32_t>>>{
           {5, {0, 4, 5, 9}}, {3, {0, 1}}, {4, {0}}, {70, {0, 3}}, {150, {0, 130, 131, 300}}}) {
    check_operator(blend_case(d, Tensor::from(cu)));
    check_operator(ema_case(d, Tensor::from(cu)));
  }
}

TEST_CASE("single steps of blend and ema give the bits of the batch") {
  const int64_t concepts = 20, d = 150;
  const Tensor cu = Tensor::from<int32_t>({0, 20});
  const Tensor z = random_tensor({concepts, d}, DType::f32, 4);
  const Tensor gate = random_tensor({d}, DType::f32, 5);
  const Tensor p = Tensor::full({concepts}, 0.3);
  const Tensor blended = ops::blend(z, gate, cu), averaged = ops::ema(z, p, cu);
  const Tensor row = Tensor::empty({1, d});
  for (int64_t k = 1; k < concepts; ++k) {
    const float* in = z.data<float>() + k * d;
    ops::blend_row(in, in - d, gate.data<float>(), d, row.data<float>());
    CHECK(bit_equal(row, blended.slice(k, k + 1)));
    ops::ema_row(in, p.data<float>()[k], averaged.data<float>() + (k - 1) * d, d, row.data<float>());
    CHECK(bit_equal(row, averaged.slice(k, k + 1)));
  }
}

TEST_CASE("extremes: a closed gate and p = 1 change nothing, an open gate shifts, p = 0 repeats") {
  const Tensor cu = Tensor::from<int32_t>({0, 3});
  const Tensor z = random_tensor({3, 4}, DType::f32, 6);
  CHECK_CLOSE(ops::blend(z, Tensor::full({4}, -200), cu), z, 0);
  CHECK_CLOSE(ops::blend(z, Tensor::full({4}, 200), cu).slice(1, 3), z.slice(0, 2), 0);
  CHECK_CLOSE(ops::ema(z, Tensor::full({3}, 1), cu), z, 0);
  CHECK_CLOSE(ops::ema(z, Tensor::full({3}, 0), cu).slice(2, 3), z.slice(0, 1), 0);
}

TEST_CASE("smoothing errors") {
  const Tensor z = Tensor::zeros({3, 4});
  const Tensor cu = Tensor::from<int32_t>({0, 3});
  CHECK_THROWS_WITH_AS(ops::blend(z, Tensor::zeros({3}), cu),
                       "blend: z has shape [3, 4], gate [3]; expected [M, D] and [D]", Error);
  CHECK_THROWS_WITH_AS(ops::ema(z, Tensor::zeros({4}), cu),
                       "ema: z has shape [3, 4], p [4]; expected [M, D] and [M]", Error);
  CHECK_THROWS_AS(ops::ema(z, Tensor::zeros({3}), Tensor::from<int32_t>({0, 2})), Error);
  CHECK_THROWS_AS(ops::blend_backward(Tensor::zeros({3, 3}), z, Tensor::zeros({4}), cu), Error);
}
