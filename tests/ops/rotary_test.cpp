#include "tensor/ops/rotary.h"

#include <cmath>

#include <doctest/doctest.h>

#include "autograd/ops.h"
#include "tests/op_check.h"

using namespace dlcm;
using namespace dlcm::test;

namespace {

Tensor naive_rotary(const Tensor& x, const Tensor& positions, double base) {
  const Tensor y = x.empty_like();
  const int64_t heads = x.size(1), dim = x.size(2), half = dim / 2;
  for (int64_t t = 0; t < x.size(0); ++t) {
    for (int64_t head = 0; head < heads; ++head) {
      const double* in = x.data<double>() + (t * heads + head) * dim;
      double* out = y.data<double>() + (t * heads + head) * dim;
      for (int64_t i = 0; i < half; ++i) {
        const double angle = positions.data<int32_t>()[t] *
                             std::pow(base, -2.0 * static_cast<double>(i) / static_cast<double>(dim));
        out[i] = in[i] * std::cos(angle) - in[i + half] * std::sin(angle);
        out[i + half] = in[i + half] * std::cos(angle) + in[i] * std::sin(angle);
      }
    }
  }
  return y;
}

void check_rotary(const Shape& shape) {
  std::vector<int32_t> values;
  for (int64_t t = 0; t < shape[0]; ++t) values.push_back(static_cast<int32_t>(t * 7 % 50));
  const Tensor positions = Tensor::from(values);
  OperatorCase c;
  c.name = concat("rotary of ", shape);
  c.inputs = {random_tensor(shape, DType::f64, 1)};
  c.run = [=](const auto& in) {
    return std::vector{ops::rotary(in[0], ops::rotary_table(positions, shape[2], 10000, in[0].dtype()))};
  };
  c.reference = [=](const auto& in) { return std::vector{naive_rotary(in[0], positions, 10000)}; };
  c.differentiable = [=](const auto& in) {
    return std::vector{autograd::rotary(in[0], ops::rotary_table(positions, shape[2], 10000, in[0].dtype()))};
  };
  check_operator(c);
}

}  // namespace

TEST_CASE("rotary rotates halves") {
  for (const Shape& shape : std::vector<Shape>{{1, 1, 2}, {0, 2, 4}, {5, 3, 8}, {6, 1, 34}, {90, 4, 64}}) {
    check_rotary(shape);
  }
}

TEST_CASE("rotary leaves position 0 alone and backward undoes forward") {
  const Tensor x = random_tensor({3, 2, 16}, DType::f64, 2);
  const Tensor table = ops::rotary_table(Tensor::from<int32_t>({0, 5, 4000}), 16, 10000, DType::f64);
  const Tensor y = ops::rotary(x, table);
  CHECK(bit_equal(y.slice(0, 1), x.slice(0, 1)));
  CHECK_CLOSE(ops::rotary_backward(y, table), x, 1e-12);
}

TEST_CASE("rotary: products of queries and keys depend on the distance alone") {
  const Tensor q = random_tensor({1, 1, 32}, DType::f64, 3), k = random_tensor({1, 1, 32}, DType::f64, 4);
  const auto product = [&](int32_t query, int32_t key) {
    const Tensor a = ops::rotary(q, ops::rotary_table(Tensor::from<int32_t>({query}), 32, 10000, DType::f64));
    const Tensor b = ops::rotary(k, ops::rotary_table(Tensor::from<int32_t>({key}), 32, 10000, DType::f64));
    double sum = 0;
    for (int64_t i = 0; i < 32; ++i) sum += a.data<double>()[i] * b.data<double>()[i];
    return sum;
  };
  CHECK(product(9, 4) == doctest::Approx(product(1005, 1000)).epsilon(1e-10));
}

TEST_CASE("rotary: angles of far positions are exact in float32 tables") {
  const int32_t far = 1000003;
  const Tensor table = ops::rotary_table(Tensor::from<int32_t>({far}), 4, 10000, DType::f32);
  CHECK(table.data<float>()[0] == doctest::Approx(std::cos(1000003.0)).epsilon(1e-6));
  CHECK(table.data<float>()[3] == doctest::Approx(std::sin(10000.03)).epsilon(1e-6));
}

TEST_CASE("rotary errors") {
  const Tensor positions = Tensor::from<int32_t>({0, 1});
  CHECK_THROWS_WITH_AS(ops::rotary_table(positions, 7, 10000, DType::f32),
                       "rotary_table: head_dim is 7, expected an even number above 0", Error);
  CHECK_THROWS_WITH_AS(
      ops::rotary(Tensor::zeros({3, 1, 4}), ops::rotary_table(positions, 4, 10000, DType::f32)),
      "rotary: x has shape [3, 1, 4], table [2, 4]; expected [T, heads, head_dim] and [T, "
      "head_dim]",
      Error);
  CHECK_THROWS_AS(
      ops::rotary(Tensor::zeros({2, 1, 4}, DType::f64), ops::rotary_table(positions, 4, 10000, DType::f32)),
      Error);
}
