#include "tensor/ops/rms_norm_rotary.h"

#include <cmath>

#include <doctest/doctest.h>

#include "autograd/ops.h"
#include "tensor/ops/rotary_table.h"
#include "tests/op_check.h"

using namespace dlcm;
using namespace dlcm::test;

namespace {

constexpr double kEpsilon = 1e-6;

Tensor positions_of(int64_t rows) {
  std::vector<int32_t> values;
  for (int64_t t = 0; t < rows; ++t) values.push_back(static_cast<int32_t>(t * 7 % 50));
  return Tensor::from(values);
}

Tensor table_of(const Tensor& positions, int64_t head_dim, DType dtype) {
  return ops::rotary_table(positions, head_dim, 10000, dtype);
}

Tensor naive(const Tensor& x, const Tensor& gain, const Tensor& positions) {
  const Tensor y = x.empty_like();
  const int64_t heads = x.size(1), dim = x.size(2), half = dim / 2;
  for (int64_t row = 0; row < x.size(0) * heads; ++row) {
    const double* in = x.data<double>() + row * dim;
    double* out = y.data<double>() + row * dim;
    double squares = 0;
    for (int64_t i = 0; i < dim; ++i) squares += in[i] * in[i];
    const double scale = 1 / std::sqrt(squares / static_cast<double>(dim) + kEpsilon);
    for (int64_t i = 0; i < half; ++i) {
      const double angle = positions.data<int32_t>()[row / heads] *
                           std::pow(10000.0, -2.0 * static_cast<double>(i) / static_cast<double>(dim));
      const double first = in[i] * scale * gain.data<double>()[i];
      const double second = in[i + half] * scale * gain.data<double>()[i + half];
      out[i] = first * std::cos(angle) - second * std::sin(angle);
      out[i + half] = second * std::cos(angle) + first * std::sin(angle);
    }
  }
  return y;
}

std::vector<Tensor> inputs_of(const Shape& shape) {
  return {random_tensor(shape, DType::f64, 1), random_tensor({shape[2]}, DType::f64, 2)};
}

// 40 rows of 4 heads and more are several ranges of the gain's gradient.
const std::vector<Shape> kShapes = {{1, 1, 2}, {0, 2, 4}, {5, 3, 8}, {6, 1, 34}, {90, 4, 64}};

}  // namespace

TEST_CASE("rms_norm_rotary normalizes heads and rotates their halves") {
  for (const Shape& shape : kShapes) {
    const Tensor positions = positions_of(shape[0]);
    OperatorCase c;
    c.name = concat("rms_norm_rotary of ", shape);
    c.inputs = inputs_of(shape);
    c.run = [=](const auto& in) {
      const Tensor table = table_of(positions, shape[2], in[0].dtype());
      return std::vector{ops::rms_norm_rotary(in[0], in[1], kEpsilon, table, in[0].dtype())};
    };
    c.reference = [=](const auto& in) { return std::vector{naive(in[0], in[1], positions)}; };
    c.differentiable = [=](const auto& in) {
      const Tensor table = table_of(positions, shape[2], in[0].dtype());
      return std::vector{autograd::rms_norm_rotary(in[0], in[1], kEpsilon, table)};
    };
    check_operator(c);
  }
}

TEST_CASE("rms_norm_rotary rounded to bf16") {
  for (const Shape& shape : kShapes) {
    const Tensor table = table_of(positions_of(shape[0]), shape[2], DType::f32);
    check_rounded_output(inputs_of(shape), [=](const auto& in, DType output) {
      return std::vector{autograd::rms_norm_rotary(in[0], in[1], kEpsilon, table, output)};
    });
  }
}

TEST_CASE("rms_norm_rotary at position 0 is rms_norm") {
  const std::vector<Tensor> in = inputs_of({3, 2, 16});
  const Tensor table = table_of(Tensor::from<int32_t>({0, 0, 0}), 16, DType::f64);
  CHECK_CLOSE(ops::rms_norm_rotary(in[0], in[1], kEpsilon, table, DType::f64),
              ops::rms_norm(in[0], in[1], kEpsilon).y, 1e-15);
}

TEST_CASE("rms_norm_rotary: products of queries and keys depend on the distance alone") {
  const Tensor gain = random_tensor({32}, DType::f64, 2);
  const Tensor q = random_tensor({1, 1, 32}, DType::f64, 3), k = random_tensor({1, 1, 32}, DType::f64, 4);
  const auto rotated = [&](const Tensor& x, int32_t position) {
    return ops::rms_norm_rotary(x, gain, kEpsilon,
                                table_of(Tensor::from<int32_t>({position}), 32, DType::f64), DType::f64);
  };
  const auto product = [&](int32_t query, int32_t key) {
    const Tensor a = rotated(q, query), b = rotated(k, key);
    double sum = 0;
    for (int64_t i = 0; i < 32; ++i) sum += a.data<double>()[i] * b.data<double>()[i];
    return sum;
  };
  CHECK(product(9, 4) == doctest::Approx(product(1005, 1000)).epsilon(1e-10));
}

TEST_CASE("rms_norm_rotary: a gradient that others hold is not written over") {
  const std::vector<Tensor> in = inputs_of({3, 2, 16});
  const Tensor table = table_of(positions_of(3), 16, DType::f64);
  const Tensor dy = random_tensor({3, 2, 16}, DType::f64, 5);
  const Tensor before = dy.clone();
  const Tensor dx = ops::rms_norm_rotary_backward(Tensor(dy), in[0], in[1], kEpsilon, table).dx;
  CHECK(bit_equal(dy, before));
  Tensor only = before.clone();
  const void* place = only.raw_data();
  const Tensor in_place = ops::rms_norm_rotary_backward(std::move(only), in[0], in[1], kEpsilon, table).dx;
  CHECK(in_place.raw_data() == place);
  CHECK(bit_equal(in_place, dx));
}

TEST_CASE("rms_norm_rotary errors") {
  const Tensor table = table_of(Tensor::from<int32_t>({0, 1}), 4, DType::f32);
  const auto run = [&](const Tensor& x, const Tensor& gain, DType output) {
    return ops::rms_norm_rotary(x, gain, kEpsilon, table, output);
  };
  CHECK_THROWS_WITH_AS(run(Tensor::zeros({3, 1, 4}), Tensor::zeros({4}), DType::f32),
                       "rms_norm_rotary: x has shape [3, 1, 4], table [2, 4]; expected [T, heads, head_dim] "
                       "and [T, head_dim], head_dim even",
                       Error);
  CHECK_THROWS_WITH_AS(run(Tensor::zeros({2, 1, 4}), Tensor::zeros({3}), DType::f32),
                       "rms_norm_rotary: gain has shape [3], x has shape [2, 1, 4]; expected one gain per "
                       "element of a row",
                       Error);
  CHECK_THROWS_WITH_AS(run(Tensor::zeros({2, 1, 4}, DType::f64), Tensor::zeros({4}, DType::f64), DType::f64),
                       "rms_norm_rotary: x is f64, table is f32", Error);
  CHECK_THROWS_AS(run(Tensor::zeros({2, 1, 4}), Tensor::zeros({4}), DType::f64), Error);
}
