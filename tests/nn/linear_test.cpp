#include "nn/linear.h"

#include <doctest/doctest.h>

#include "autograd/tape.h"
#include "tensor/ops/matmul.h"
#include "tests/op_check.h"

namespace dlcm::nn {
namespace {

using test::bit_equal;
using test::random_tensor;

struct Layer : Module {
  Parameter weight{*this, "weight", {37, 50}, matrix_role(Width::token)};
  Layer() { initialize(3); }
};

// One row, a few, and more than a tile of a product.
constexpr int64_t kRows[] = {1, 5, 70};

TEST_CASE("linear: a packed weight gives the bits of the weight itself") {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    Layer whole, packed;
    whole.round_operands(dtype);
    packed.pack_operands(dtype);
    for (const int64_t rows : kRows) {
      CAPTURE(dtype);
      CAPTURE(rows);
      const Variable x(random_tensor({rows, 50}, DType::f32, 4));
      CHECK(bit_equal(linear(x, packed.weight).value(), linear(x, whole.weight).value()));
    }
  }
}

TEST_CASE("linear_many: one linear after the other, packed or not") {
  struct Pair : Module {
    Parameter first{*this, "first", {37, 50}, matrix_role(Width::token)};
    Parameter second{*this, "second", {9, 50}, matrix_role(Width::token)};
  };
  for (const bool packs : {false, true}) {
    Pair layers;
    layers.initialize(3);
    if (packs) layers.pack_operands(DType::f32);
    const Variable x(random_tensor({5, 50}, DType::f32, 4));
    const std::vector<Variable> both = linear_many(x, {&layers.first, &layers.second});
    REQUIRE(both.size() == 2);
    CHECK(bit_equal(both[0].value(), linear(x, layers.first).value()));
    CHECK(bit_equal(both[1].value(), linear(x, layers.second).value()));
  }
}

TEST_CASE("linear in bf16: the float32 product of rounded operands") {
  Layer layer;
  layer.round_operands(DType::bf16);
  const auto rounded = [](const Tensor& tensor) { return tensor.to(DType::bf16).to(DType::f32); };
  const Tensor weight = rounded(layer.weight.value());
  for (const int64_t rows : kRows) {
    const Tensor x = random_tensor({rows, 50}, DType::f32, 6);
    const Variable y = linear(Variable(x), layer.weight);
    CHECK(y.dtype() == DType::f32);
    CHECK_CLOSE(y.value(), ops::linear(rounded(x), weight), 1e-5);
    // Who rounds x at once gets the same.
    CHECK(bit_equal(linear(Variable(x.to(DType::bf16)), layer.weight).value(), y.value()));
  }
}

TEST_CASE("linear in bf16: gradients are float32 and those of the rounded operands") {
  Layer layer;
  layer.round_operands(DType::bf16);
  const auto rounded = [](const Tensor& tensor) { return tensor.to(DType::bf16).to(DType::f32); };
  const Variable x(random_tensor({9, 50}, DType::f32, 8), true);
  const Tensor dy = random_tensor({9, 37}, DType::f32, 9);
  autograd::Tape tape;
  {
    const autograd::Tape::Recording recording(tape);
    const Variable y = linear(x, layer.weight);
    tape.backward({{y, dy}});
  }
  CHECK(layer.weight.grad().dtype() == DType::f32);
  CHECK_CLOSE(layer.weight.grad(), ops::linear_backward_weight(rounded(dy), rounded(x.value())), 1e-5);
  CHECK_CLOSE(x.grad(), ops::linear_backward_input(rounded(dy), rounded(layer.weight.value())), 1e-5);
}

}  // namespace
}  // namespace dlcm::nn
