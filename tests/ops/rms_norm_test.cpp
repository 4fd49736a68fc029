#include "tensor/ops/rms_norm.h"

#include <cmath>

#include <doctest/doctest.h>

#include "autograd/ops.h"
#include "tests/op_check.h"

using namespace dlcm;
using namespace dlcm::test;

namespace {

std::vector<Tensor> naive_rms_norm(const Tensor& x, const Tensor& gain, double epsilon) {
  const int64_t d = gain.numel();
  const int64_t rows = x.numel() / d;
  const Tensor y = x.empty_like();
  const Tensor rstd = Tensor::empty({rows}, DType::f64);
  for (int64_t row = 0; row < rows; ++row) {
    double squares = 0;
    for (int64_t i = 0; i < d; ++i) squares += std::pow(x.data<double>()[row * d + i], 2);
    const double scale = 1 / std::sqrt(squares / static_cast<double>(d) + epsilon);
    rstd.data<double>()[row] = scale;
    for (int64_t i = 0; i < d; ++i) {
      y.data<double>()[row * d + i] = x.data<double>()[row * d + i] * scale * gain.data<double>()[i];
    }
  }
  return {y, rstd};
}

OperatorCase rms_norm_case(const Tensor& x, double epsilon = 1e-6) {
  OperatorCase c;
  c.name = concat("rms_norm of ", x.shape());
  c.inputs = {x, random_tensor({x.size(-1)}, DType::f64, 11)};
  c.run = [=](const auto& in) {
    auto [y, rstd] = ops::rms_norm(in[0], in[1], epsilon);
    return std::vector{y, rstd};
  };
  c.reference = [=](const auto& in) { return naive_rms_norm(in[0], in[1], epsilon); };
  c.differentiable = [=](const auto& in) { return std::vector{autograd::rms_norm(in[0], in[1], epsilon)}; };
  c.cuda = CudaKernel::yes;
  return c;
}

}  // namespace

TEST_CASE("rms_norm over the last dimension") {
  for (const Shape& shape : std::vector<Shape>{
           {5}, {1, 1}, {0, 4}, {3, 64}, {2, 3, 17}, {129, 33}, {300, 70}}) {  // 128 rows make a partial sum
    check_operator(rms_norm_case(random_tensor(shape, DType::f64, 10)));
  }
}

TEST_CASE("rms_norm rounded to bf16") {
  for (const Shape& shape : std::vector<Shape>{{5}, {0, 4}, {2, 3, 17}, {300, 70}}) {
    check_rounded_output({random_tensor(shape, DType::f64, 10), random_tensor({shape[-1]}, DType::f64, 11)},
                         [](const auto& in, DType output) {
                           return std::vector{autograd::rms_norm(in[0], in[1], 1e-6, output)};
                         });
  }
}

TEST_CASE("rms_norm: the result does not depend on the size of a row") {
  const Tensor x = random_tensor({4, 48}, DType::f32, 12);
  const Tensor gain = Tensor::full({48}, 1.0);
  const Tensor y = ops::rms_norm(x, gain, 0).y;
  for (const double factor : {0x1p-40, 0x1p-20, 0x1p40}) {  // powers of two change no rounding
    const Tensor scaled = x.clone();
    for (int64_t i = 0; i < x.numel(); ++i) scaled.data<float>()[i] *= static_cast<float>(factor);
    CHECK_CLOSE(ops::rms_norm(scaled, gain, 0).y, y, 1e-6);
  }
}

TEST_CASE("rms_norm of a zero row is zero, and its gradient is gain dy / sqrt(epsilon)") {
  const Tensor x = Tensor::zeros({2, 3}, DType::f64);
  const Tensor gain = Tensor::from<double>({1, 2, 3});
  const auto [y, rstd] = ops::rms_norm(x, gain, 1e-6);
  CHECK(bit_equal(y, x));
  const auto [dx, dgain] = ops::rms_norm_backward(Tensor::full({2, 3}, 1.0, DType::f64), x, gain, rstd);
  CHECK_CLOSE(dx, Tensor::from<double>({2, 3}, {1e3, 2e3, 3e3, 1e3, 2e3, 3e3}), 1e-12);
  CHECK(bit_equal(dgain, Tensor::zeros({3}, DType::f64)));
}

TEST_CASE("rms_norm: a row's bits do not depend on the other rows") {
  const Tensor x = random_tensor({40, 96}, DType::f32, 13);
  const Tensor gain = random_tensor({96}, DType::f32, 14);
  const Tensor all = ops::rms_norm(x, gain, 1e-6).y;
  for (const int64_t row : {0, 7, 39}) {
    CHECK(bit_equal(ops::rms_norm(x.slice(row, row + 1), gain, 1e-6).y, all.slice(row, row + 1)));
  }
}

TEST_CASE("rms_norm errors") {
  const Tensor x = Tensor::zeros({2, 4});
  CHECK_THROWS_WITH_AS(
      ops::rms_norm(x, Tensor::zeros({3}), 1e-6),
      "rms_norm: gain has shape [3], x has shape [2, 4]; expected one gain per element of a row", Error);
  CHECK_THROWS_WITH_AS(ops::rms_norm(x, Tensor::zeros({4}, DType::f64), 1e-6),
                       "rms_norm: x is f32, gain is f64", Error);
  CHECK_THROWS_WITH_AS(ops::rms_norm(x, Tensor::zeros({4}), 1e-6, DType::f64),
                       "rms_norm: output of f64 from an input of f32; expected f32 or bf16", Error);
  CHECK_THROWS_WITH_AS(
      ops::rms_norm_backward(Tensor::zeros({1, 4}), x, Tensor::zeros({4}), Tensor::zeros({2})),
      "rms_norm_backward: dy has shape [1, 4], rstd [2], x [2, 4]", Error);
  CHECK_THROWS_AS(ops::rms_norm(Tensor::zeros({2, 0}), Tensor::zeros({0}), 1e-6), Error);
}
