// Values that are not kept until backward but made again.
#include <doctest/doctest.h>

#include "autograd/ops.h"
#include "autograd/tape.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/rotary_table.h"
#include "tests/op_check.h"

using namespace dlcm;
using namespace dlcm::autograd;
using dlcm::test::bit_equal;
using dlcm::test::random_tensor;

TEST_CASE("a value with a recipe is not saved, and made once for all that use it") {
  const Variable x(Tensor::from<double>({1, 2, 3}), true);
  int made = 0;
  Tape tape;
  std::vector<Root> roots;
  {
    const Tape::Recording recording(tape);
    const Variable doubled = scale(x, 2).with_recipe([&made, value = x.value()] {
      ++made;
      return ops::scale(value, 2);
    });
    roots = {{multiply(doubled, doubled), 1.0}, {multiply(doubled, x), 1.0}};
    CHECK(tape.saved_bytes() == 24);  // x alone
  }
  CHECK(made == 0);
  tape.backward(roots);
  CHECK(made == 1);
  CHECK(x.grad().to_vector<double>() == std::vector<double>{12, 24, 36});  // (4 x^2 + 2 x^2)'
}

TEST_CASE("a value that needs no gradient has no recipe") {
  const Variable x(Tensor::from<double>({1}));
  CHECK_FALSE(x.with_recipe([] { return Tensor(); }).recipe());
}

TEST_CASE("norms are made again with the same bits") {
  const Tensor x = random_tensor({150, 2, 32}, DType::f32, 1),
               delta = random_tensor(x.shape(), DType::f32, 2);
  const Tensor gain = random_tensor({32}, DType::f32, 3);
  const Tensor table = ops::rotary_table(Tensor::full({150}, 7, DType::i32), 32, 10000, DType::f32);
  for (const DType output : {DType::f32, DType::bf16}) {
    Tape tape;
    const Tape::Recording recording(tape);
    const Variable in(x, true), g(gain, true);
    for (const Variable& y :
         {rms_norm(in, g, 1e-6, output), residual_rms_norm(in, Variable(delta), g, 1e-6, output).y,
          rms_norm_rotary(in, g, 1e-6, table, output)}) {
      REQUIRE(y.recipe());
      CHECK(y.recipe()->value().raw_data() != y.value().raw_data());
      CHECK(bit_equal(y.recipe()->value(), y.value()));
    }
  }
}
