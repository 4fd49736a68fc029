#include "tensor/ops/cast.h"

#include <cmath>

#include <doctest/doctest.h>

#include "autograd/ops.h"
#include "autograd/tape.h"
#include "tests/op_check.h"

namespace dlcm {
namespace {

using test::bit_equal;
using test::random_tensor;

TEST_CASE("cast: f32 to bf16 rounds to nearest even, bf16 to f32 is exact") {
  const float inf = INFINITY;
  const Tensor x = Tensor::from<float>({0.0f, -0.0f, 1.0f, 1 + 0x1p-8f, 1 + 3 * 0x1p-8f, 1 + 0x1.01p-8f,
                                        -1 - 0x1p-8f, 3.4e38f, 1e-40f, inf, -inf});
  const Tensor y = ops::cast(x, DType::bf16);
  CHECK(y.dtype() == DType::bf16);
  const std::vector<float> expected = {0,  -0.0f, 1,         1,   1 + 0x1p-6f, 1 + 0x1p-7f,
                                       -1, inf,   0x1p-133f, inf, -inf};
  const Tensor wide = ops::cast(y, DType::f32);
  CHECK(bit_equal(wide, Tensor::from(expected)));
  CHECK(bit_equal(ops::cast(wide, DType::bf16), y));
  CHECK(std::isnan(ops::cast(ops::cast(Tensor::from<float>({NAN}), DType::bf16), DType::f32).item()));
}

// More elements than one range of the loop, and an odd number of them.
TEST_CASE("cast: every element, into a tensor that is there, views too") {
  const Tensor x = random_tensor({3, 20001}, DType::f32, 1);
  CHECK(bit_equal(ops::cast(x, DType::bf16), x.to(DType::bf16)));
  CHECK(bit_equal(ops::cast(x.to(DType::bf16), DType::f32), x.to(DType::bf16).to(DType::f32)));
  const Tensor rows = Tensor::zeros({3, 20001}, DType::bf16);
  ops::cast_into(x.slice(1, 2), rows.slice(1, 2));
  CHECK(bit_equal(rows.slice(1, 2), x.slice(1, 2).to(DType::bf16)));
  CHECK(bit_equal(rows.slice(0, 1), Tensor::zeros({1, 20001}, DType::bf16)));
  CHECK(bit_equal(rows.slice(2, 3), Tensor::zeros({1, 20001}, DType::bf16)));
  CHECK(ops::cast(x, DType::f32).raw_data() == x.raw_data());  // nothing changes
  CHECK(ops::cast(Tensor::zeros({0, 4}), DType::bf16).shape() == Shape{0, 4});
}

TEST_CASE("cast: other dtypes and shapes are refused") {
  CHECK_THROWS_WITH_AS(ops::cast(Tensor::zeros({2}, DType::f64), DType::bf16),
                       "cast: from f64 to bf16; expected f32 and bf16", Error);
  CHECK_THROWS_AS(ops::cast(Tensor::zeros({2}, DType::i32), DType::f32), Error);
  CHECK_THROWS_WITH_AS(ops::cast_into(Tensor::zeros({2}), Tensor::zeros({3}, DType::bf16)),
                       "cast: x has shape [2], the result [3]", Error);
}

TEST_CASE("cast: gradients pass, in float32") {
  const autograd::Variable x(random_tensor({4, 5}, DType::f32, 2), true);
  const Tensor dy = random_tensor({4, 5}, DType::f32, 3);
  autograd::Tape tape;
  {
    const autograd::Tape::Recording recording(tape);
    const autograd::Variable y = autograd::cast(x, DType::bf16);
    CHECK(y.dtype() == DType::bf16);
    tape.backward({{y, dy}});
  }
  CHECK(bit_equal(x.grad(), dy));
}

}  // namespace
}  // namespace dlcm
