#include "autograd/tape.h"

#include <doctest/doctest.h>

#include "autograd/ops.h"
#include "tensor/ops/elementwise.h"
#include "tests/op_check.h"

using namespace dlcm;
using namespace dlcm::autograd;
using dlcm::test::bit_equal;
using dlcm::test::random_tensor;

namespace {

Variable leaf(const std::vector<double>& values) {
  return Variable(Tensor::from(values), true);
}

std::vector<double> values(const Tensor& tensor) {
  return tensor.to_vector<double>();
}

// An operator whose backward function gives back what it is told to.
Variable returning(const Variable& x, std::vector<Tensor> gradients) {
  return record("returning", {x}, x.value(), {},
                [gradients = std::move(gradients)](const BackwardContext&) { return gradients; });
}

}  // namespace

TEST_CASE("a value used several times gathers the gradients of all uses") {
  const Variable x = leaf({2, 3});
  Tape tape;
  Variable loss;
  {
    const Tape::Recording recording(tape);
    const Variable square = multiply(x, x);                // an intermediate, used twice
    loss = sum(add(multiply(square, x), add(square, x)));  // x^3 + x^2 + x
  }
  CHECK(tape.size() == 5);
  tape.backward({{loss, 1.0}});
  CHECK(values(x.grad()) == std::vector<double>{3 * 4 + 2 * 2 + 1, 3 * 9 + 2 * 3 + 1});
  CHECK(tape.size() == 0);
}

TEST_CASE("the same value as both inputs, and a gradient that is shared, are not written over") {
  const Variable x = leaf({1, 2}), y = leaf({3, 4});
  Tape tape;
  Variable both;
  {
    const Tape::Recording recording(tape);
    both = add(add(x, y), add(x, x));
  }
  const Tensor seed = Tensor::from<double>({1, 10});
  tape.backward({{both, seed}});
  CHECK(values(x.grad()) == std::vector<double>{3, 30});
  CHECK(values(y.grad()) == std::vector<double>{1, 10});
  CHECK(values(seed) == std::vector<double>{1, 10});
}

TEST_CASE("products of one value add to its gathered gradient, but write over none that others hold") {
  const Variable x(Tensor::from<double>({1, 2}, {1, 2}), true);
  const Variable first(Tensor::from<double>({1, 2}, {3, 4}), true),
      second(Tensor::from<double>({1, 2}, {5, 6}), true);
  const Tensor before = Tensor::from<double>({1, 2}, {100, 200});
  x.slot()->grad = before;
  const void* place = nullptr;
  for (int pass = 1; pass <= 2; ++pass) {
    Tape tape;
    Variable y;
    {
      const Tape::Recording recording(tape);
      y = add(linear(x, first), linear(x, second));
    }
    tape.backward({{y, 1.0}});
    CHECK(values(x.grad()) == std::vector<double>{100.0 + 8 * pass, 200.0 + 10 * pass});
    CHECK(values(first.grad()) == std::vector<double>{1.0 * pass, 2.0 * pass});
    if (pass == 2) CHECK(x.grad().raw_data() == place);  // the tape's own by then
    place = x.grad().raw_data();
  }
  CHECK(values(before) == std::vector<double>{100, 200});
}

TEST_CASE("gradients of leaves add up over passes, until they are cleared") {
  Variable x = leaf({1, 2});
  for (int pass = 1; pass <= 3; ++pass) {
    Tape tape;
    Variable loss;
    {
      const Tape::Recording recording(tape);
      loss = sum(scale(x, 2));
    }
    tape.backward({{loss, 0.5}});
    CHECK(values(x.grad()) == std::vector<double>(2, pass));
  }
  x.clear_grad();
  CHECK_FALSE(x.grad().defined());
}

TEST_CASE("several roots at once, each with its factor") {
  const Variable x = leaf({5});
  Tape tape;
  std::vector<Root> roots;
  {
    const Tape::Recording recording(tape);
    const Variable doubled = scale(x, 2);
    roots = {{doubled, 1.0}, {scale(doubled, 3), 10.0}, {x, 100.0}};
  }
  tape.backward(roots);
  CHECK(values(x.grad()) == std::vector<double>{2 + 60 + 100});
}

TEST_CASE("an operator of several outputs sees zeros for those nobody used") {
  const Variable x = leaf({1, 2});
  Tape tape;
  Variable loss;
  {
    const Tape::Recording recording(tape);
    const auto outputs =
        record_many("double_and_triple", {x}, {ops::scale(x.value(), 2), ops::scale(x.value(), 3)}, {},
                    [](const BackwardContext& context) {
                      return std::vector{
                          ops::add(ops::scale(context.gradient(0), 2), ops::scale(context.gradient(1), 3))};
                    });
    loss = sum(outputs[1]);
  }
  tape.backward({{loss, 1.0}});
  CHECK(values(x.grad()) == std::vector<double>{3, 3});
}

TEST_CASE("gradients of broadcast inputs are summed to their shape") {
  const Variable x(random_tensor({2, 3, 4}, DType::f64, 1), true);
  const Variable bias(random_tensor({4}, DType::f64, 2), true), scalar(Tensor::full({}, 2, DType::f64), true);
  Tape tape;
  Variable loss;
  {
    const Tape::Recording recording(tape);
    loss = sum(multiply(add(x, bias), scalar));
  }
  tape.backward({{loss, 1.0}});
  CHECK(bias.grad().shape() == Shape{4});
  CHECK(values(bias.grad()) == std::vector<double>(4, 12));
  CHECK(scalar.grad().shape() == Shape{});
  CHECK(scalar.grad().item() == doctest::Approx(ops::sum(ops::add(x.value(), bias.value()))));
}

TEST_CASE("the gradient of a bf16 value is f32") {
  const Variable x(Tensor::from<float>({1, 2}).to(DType::bf16), true);
  Tape tape;
  Variable y;
  {
    const Tape::Recording recording(tape);
    y = view(x, {2, 1});
  }
  tape.backward({{y, 1 + 0x1p-20}});  // more digits than a bf16 has
  CHECK(x.grad().dtype() == DType::f32);
  CHECK(x.grad().to_vector<float>() == std::vector<float>(2, 1 + 0x1p-20f));
}

TEST_CASE("nothing is recorded without a tape, under NoGrad, or where no input needs a gradient") {
  const Variable x = leaf({1});
  CHECK(Tape::active() == nullptr);
  CHECK_FALSE(scale(x, 2).requires_grad());
  Tape tape;
  {
    const Tape::Recording recording(tape);
    CHECK(Tape::active() == &tape);
    {
      const NoGrad no_grad;
      CHECK_FALSE(scale(x, 2).requires_grad());
    }
    CHECK_FALSE(scale(Variable(x.value()), 2).requires_grad());
    CHECK_FALSE(scale(x.detach(), 2).requires_grad());
    CHECK(tape.size() == 0);
    CHECK(scale(x, 2).requires_grad());
    CHECK(tape.size() == 1);
  }
  CHECK(Tape::active() == nullptr);
}

TEST_CASE("recordings nest: the innermost counts, and the outer one comes back after an exception too") {
  const Variable x = leaf({1});
  Tape outer, inner;
  const Tape::Recording recording(outer);
  {
    const Tape::Recording nested(inner);
    scale(x, 2);
  }
  CHECK(inner.size() == 1);
  CHECK(outer.size() == 0);
  CHECK_THROWS_AS(
      [&] {
        const Tape::Recording nested(inner);
        throw Error("in the middle");
      }(),
      Error);
  CHECK(Tape::active() == &outer);
}

TEST_CASE("backward functions that call differentiable operators record nothing") {
  const Variable x = leaf({1});
  Tape tape;
  const Tape::Recording recording(tape);
  const Variable y = record("nosy", {x}, x.value(), {}, [&](const BackwardContext& context) {
    CHECK(Tape::active() == nullptr);
    return std::vector{context.gradient()};
  });
  tape.backward({{y, 1.0}});
  CHECK(tape.size() == 0);
}

TEST_CASE("a node that nothing downstream used does not run") {
  const Variable x = leaf({1});
  Tape tape;
  Variable loss;
  {
    const Tape::Recording recording(tape);
    returning(x, {Tensor::from<double>({1000})});
    loss = scale(x, 2);
  }
  tape.backward({{loss, 1.0}});
  CHECK(values(x.grad()) == std::vector<double>{2});
}

TEST_CASE("what an operator saved is counted once and freed with its node") {
  const Variable x(random_tensor({10}, DType::f64, 3), true);
  std::weak_ptr<int> watched;
  Tape tape;
  Variable y;
  {
    const Tape::Recording recording(tape);
    y = multiply(x, x);  // saves one tensor twice
    CHECK(tape.saved_bytes() == 80);
    y = multiply(y, x);
    CHECK(tape.saved_bytes() == 160);
    auto token = std::make_shared<int>(0);
    watched = token;
    y = record("watched", {y}, y.value(), {},
               [token](const BackwardContext& context) { return std::vector{context.gradient()}; });
  }
  CHECK_FALSE(watched.expired());
  tape.backward({{y, 1.0}});
  CHECK(watched.expired());
  CHECK(tape.saved_bytes() == 0);
  CHECK_FALSE(y.slot()->grad.defined());  // gradients of intermediate values are let go
}

TEST_CASE("errors name the operator") {
  const Variable x = leaf({1, 2});
  const auto message = [&](std::vector<Tensor> gradients) -> std::string {
    Tape tape;
    Variable y;
    {
      const Tape::Recording recording(tape);
      y = returning(x, std::move(gradients));
    }
    try {
      tape.backward({{y, 1.0}});
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  const Tensor right = Tensor::zeros({2}, DType::f64);
  CHECK(message({}) == "returning: backward returned 0 gradients for 1 inputs");
  CHECK(message({right, right}) == "returning: backward returned 2 gradients for 1 inputs");
  CHECK(message({Tensor::zeros({2})}) == "returning: gradient of input 0 is f32, expected f64");
  CHECK(message({Tensor::zeros({3}, DType::f64)}) ==
        "returning: a gradient of shape [3] does not fit an input of shape [2]");
  CHECK(message({right}).empty());
  CHECK(message({Tensor()}).empty());  // undefined stands for zero
  Tape tape;
  CHECK_THROWS_WITH_AS(tape.backward({{x, Tensor::zeros({3}, DType::f64)}}),
                       "backward: the root has shape [2], its gradient [3]", Error);
}
