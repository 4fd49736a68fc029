#include "autograd/grad_check.h"

#include <cmath>
#include <limits>

#include <doctest/doctest.h>

#include "autograd/ops.h"
#include "tensor/ops/elementwise.h"
#include "tests/op_check.h"

using namespace dlcm;
using namespace dlcm::autograd;
using dlcm::test::bit_equal;
using dlcm::test::random_tensor;

namespace {

// 2x, whose gradient is wrong by `error` in one element.
Function doubling(int64_t wrong_element, double error) {
  return [=](const std::vector<Variable>& in) {
    return std::vector{
        record("doubling", {in[0]}, ops::scale(in[0].value(), 2), {}, [=](const BackwardContext& context) {
          const Tensor dx = ops::scale(context.gradient(), 2);
          if (wrong_element >= 0) dx.data<double>()[wrong_element] += error;
          return std::vector{dx};
        })};
  };
}

}  // namespace

TEST_CASE("grad_check passes a right backward and leaves the inputs as they were") {
  const Tensor x = random_tensor({3, 5}, DType::f64, 1), before = x.clone();
  const GradCheckResult result = grad_check(doubling(-1, 0), {x});
  CHECK(result.passed);
  CHECK(result.worst < 1);
  CHECK(bit_equal(x, before));
}

TEST_CASE("grad_check fails a wrong backward and says where") {
  const Tensor x = random_tensor({3, 5}, DType::f64, 1);
  for (const double error :
       {1e-4, -1.0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    const GradCheckResult result = grad_check(doubling(7, error), {x});
    CHECK_FALSE(result.passed);
    CHECK(result.worst > 1);
    CHECK(result.message.find("input 0 of shape [3, 5], element 7: tape ") == 0);
  }
  CHECK(grad_check(doubling(7, 1e-9), {x}).passed);
}

TEST_CASE("grad_check reports the input that is wrong") {
  const Function product = [](const std::vector<Variable>& in) {
    return std::vector{record("product", {in[0], in[1]}, ops::multiply(in[0].value(), in[1].value()),
                              {in[0].value()}, [](const BackwardContext& context) {
                                // The first gradient is right; the second forgets a factor.
                                return std::vector{Tensor(), context.gradient()};
                              })};
  };
  const Tensor zero = Tensor::zeros({2}, DType::f64), two = Tensor::full({2}, 2, DType::f64);
  const GradCheckResult result = grad_check(product, {two, zero});
  CHECK_FALSE(result.passed);
  CHECK(result.message.find("input 1 of shape [2]") == 0);
}

TEST_CASE("grad_check notices a gradient that never arrives") {
  const Function cut = [](const std::vector<Variable>& in) { return std::vector{scale(in[0].detach(), 3)}; };
  CHECK_FALSE(grad_check(cut, {random_tensor({4}, DType::f64, 2)}).passed);
}

TEST_CASE("grad_check weights every output, so that errors cannot cancel in a sum") {
  // Softmax sums to 1: the gradient of the plain sum of its outputs is 0 whatever backward does.
  const Function wrong = [](const std::vector<Variable>& in) {
    const Variable y = softmax(Variable(in[0].value()));
    return std::vector{record("wrong_softmax", {in[0]}, y.value(), {}, [](const BackwardContext& context) {
      return std::vector{context.gradient().zeros_like()};
    })};
  };
  CHECK_FALSE(grad_check(wrong, {random_tensor({2, 3}, DType::f64, 3)}).passed);
}

TEST_CASE("grad_check_leaves checks captured parameters, whatever gradients they held") {
  const Variable weight(random_tensor({4}, DType::f64, 4), true);
  weight.slot()->grad = Tensor::full({4}, 1000, DType::f64);
  const auto result = grad_check_leaves([&] { return std::vector{multiply(weight, weight)}; }, {weight});
  CHECK_MESSAGE(result.passed, result.message);
}

TEST_CASE("grad_check takes no more elements than asked for, spread over the input, and float64 alone") {
  int runs = 0;
  GradCheckOptions options;
  options.max_elements = 10;
  const Function counting = [&](const std::vector<Variable>& in) {
    ++runs;
    return std::vector{scale(in[0], 2)};
  };
  CHECK(grad_check(counting, {random_tensor({95}, DType::f64, 5)}, options).passed);
  CHECK(runs <= 1 + 2 * 10);
  CHECK(runs >= 1 + 2 * 9);
  CHECK_THROWS_WITH_AS(grad_check(counting, {Tensor::zeros({2})}), "grad_check: input is f32, expected f64",
                       Error);
}
