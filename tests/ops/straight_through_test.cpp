#include "tensor/ops/straight_through.h"

#include <doctest/doctest.h>

#include "autograd/ops.h"
#include "autograd/tape.h"
#include "tests/op_check.h"

using namespace dlcm;
using namespace dlcm::test;
using autograd::Variable;

// The value does not depend on p, so central differences say nothing: the gradients are compared with the
// formula.
TEST_CASE("straight_through: the value of x, gradients as if multiplied by the confidence") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const int64_t tokens = 6, d = 70;
    const Variable x(random_tensor({tokens, d}, dtype, 1), true);
    const Variable p(Tensor::full({tokens}, 0.3, dtype), true);
    const Tensor boundary = Tensor::from<uint8_t>({1, 0, 0, 1, 0, 1});
    const Tensor dy = random_tensor({tokens, d}, dtype, 2);
    autograd::Tape tape;
    Variable y;
    {
      const autograd::Tape::Recording recording(tape);
      y = autograd::straight_through(x, p, boundary);
    }
    CHECK(bit_equal(y.value(), x.value()));
    tape.backward({{y, dy}});
    CHECK(bit_equal(x.grad(), dy));
    const Tensor expected = Tensor::zeros({tokens}, DType::f64);
    const std::vector<double> wide_x = x.value().to(DType::f64).to_vector<double>();
    const std::vector<double> wide_dy = dy.to(DType::f64).to_vector<double>();
    for (int64_t i = 0; i < tokens * d; ++i) {
      const double sign = boundary.data<uint8_t>()[i / d] != 0 ? 1 : -1;
      expected.data<double>()[i / d] +=
          sign * wide_x[static_cast<size_t>(i)] * wide_dy[static_cast<size_t>(i)];
    }
    CHECK_CLOSE(p.grad(), expected, dtype == DType::f32 ? 1e-5 : 1e-12);
  }
}

TEST_CASE("straight_through of no tokens") {
  const Tensor none = Tensor::zeros({0, 4});
  CHECK(ops::straight_through_backward(none, none, Tensor::empty({0}, DType::u8)).numel() == 0);
}

TEST_CASE("straight_through errors") {
  const Tensor x = Tensor::zeros({3, 2});
  CHECK_THROWS_WITH_AS(
      autograd::straight_through(Variable(x), Variable(Tensor::zeros({2})), Tensor::zeros({3}, DType::u8)),
      "straight_through: x has shape [3, 2] of f32, p [2] of f32; expected [T, d] and [T]", Error);
  CHECK_THROWS_AS(ops::straight_through_backward(x, x, Tensor::zeros({2}, DType::u8)), Error);
  CHECK_THROWS_AS(ops::straight_through_backward(x, x, Tensor::zeros({3}, DType::i32)), Error);
}
