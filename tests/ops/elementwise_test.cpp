#include "tensor/ops/elementwise.h"

#include <cmath>
#include <limits>

#include <doctest/doctest.h>

#include "autograd/ops.h"
#include "tensor/parallel.h"
#include "tests/op_check.h"

using namespace dlcm;
using namespace dlcm::test;
using autograd::Variable;

namespace {

template <class Operation>
Tensor naive(const Tensor& a, const Tensor& b, const Operation& operation) {
  const Tensor y = a.empty_like();
  for (int64_t i = 0; i < a.numel(); ++i) {
    y.data<double>()[i] = operation(a.data<double>()[i], b.data<double>()[i % b.numel()]);
  }
  return y;
}

OperatorCase add_case(const Shape& a, const Shape& b) {
  OperatorCase c;
  c.name = concat("add ", a, " + ", b);
  c.inputs = {random_tensor(a, DType::f64, 1), random_tensor(b, DType::f64, 2)};
  c.run = [](const auto& in) { return std::vector{ops::add(in[0], in[1])}; };
  c.reference = [](const auto& in) { return std::vector{naive(in[0], in[1], std::plus<double>())}; };
  c.differentiable = [](const auto& in) { return std::vector{autograd::add(in[0], in[1])}; };
  return c;
}

OperatorCase multiply_case(const Shape& a, const Shape& b) {
  OperatorCase c = add_case(a, b);
  c.name = concat("multiply ", a, " * ", b);
  c.run = [](const auto& in) { return std::vector{ops::multiply(in[0], in[1])}; };
  c.reference = [](const auto& in) { return std::vector{naive(in[0], in[1], std::multiplies<double>())}; };
  c.differentiable = [](const auto& in) { return std::vector{autograd::multiply(in[0], in[1])}; };
  return c;
}

}  // namespace

TEST_CASE("add and multiply, whole and broadcast over leading dimensions") {
  for (const auto& [a, b] : std::vector<std::pair<Shape, Shape>>{{{3, 5}, {3, 5}},
                                                                 {{4, 3, 5}, {3, 5}},
                                                                 {{4, 3, 5}, {5}},
                                                                 {{7, 1}, {1}},
                                                                 {{3, 2}, {}},
                                                                 {{1}, {1}},
                                                                 {{0, 4}, {4}},
                                                                 {{300, 130}, {130}}}) {
    check_operator(add_case(a, b));
    check_operator(multiply_case(a, b));
  }
}

TEST_CASE("scale, sum, weighted_sum and view are differentiable") {
  OperatorCase c;
  c.name = "scale, weighted_sum, sum of a view";
  c.inputs = {random_tensor({40, 7}, DType::f64, 3)};
  const Tensor weights = random_tensor({40, 7}, DType::f64, 4);
  c.run = [&](const auto& in) {
    const DType dtype = in[0].dtype();
    return std::vector{ops::scale(in[0], -2.5),
                       Tensor::full({1}, ops::weighted_sum(in[0], weights.to(dtype)), dtype),
                       Tensor::full({1}, ops::sum(in[0].view({280})), dtype)};
  };
  c.reference = [&](const auto& in) {
    const Tensor scaled = in[0].empty_like();
    double total = 0, weighted = 0;
    for (int64_t i = 0; i < in[0].numel(); ++i) {
      const double value = in[0].template data<double>()[i];
      scaled.data<double>()[i] = -2.5 * value;
      total += value;
      weighted += value * weights.data<double>()[i];
    }
    return std::vector{scaled, Tensor::full({1}, weighted, DType::f64), Tensor::full({1}, total, DType::f64)};
  };
  c.differentiable = [&](const auto& in) {
    return std::vector{autograd::scale(in[0], -2.5), autograd::weighted_sum(in[0], weights.to(in[0].dtype())),
                       autograd::sum(autograd::view(in[0], {280}))};
  };
  check_operator(c);
}

TEST_CASE("in place: add_into and scale_into touch the target alone") {
  const Tensor whole = Tensor::full({5, 3}, 1.0);
  const Tensor middle = whole.slice(1, 3);
  ops::add_into(middle, Tensor::from<float>({2, 3}, {1, 2, 3, 4, 5, 6}));
  ops::scale_into(middle, 10);
  CHECK(whole.to_vector<float>() == std::vector<float>{1, 1, 1, 20, 30, 40, 50, 60, 70, 1, 1, 1, 1, 1, 1});
}

TEST_CASE("sums are accumulated in float64 and do not depend on the number of threads") {
  // 2^24 + 1 is where float32 stops counting.
  const Tensor ones = Tensor::full({(1 << 24) / 64, 3}, 64.0);
  CHECK(ops::sum(ones) == 3.0 * (1 << 24));
  CHECK(ops::sum_of_squares({ones, Tensor::zeros({0}), ones}) == 2 * 64.0 * 3.0 * (1 << 24));
  CHECK(ops::sum_of_squares({}) == 0);
  const Tensor columns = ops::sum_to(ones, {3}, "test");
  CHECK(columns.to_vector<float>() == std::vector<float>(3, 1 << 24));
  const Tensor x = random_tensor({70000}, DType::f32, 5);
  const int threads = thread_count();
  set_thread_count(1);
  const double one = ops::sum(x);
  const double one_of_squares = ops::sum_of_squares({x, x.slice(0, 100), x});
  set_thread_count(3);
  CHECK(ops::sum(x) == one);
  CHECK(ops::sum_of_squares({x, x.slice(0, 100), x}) == one_of_squares);
  set_thread_count(threads);
}

TEST_CASE("sum_to reverses broadcasting") {
  const Tensor x = random_tensor({6, 5, 4}, DType::f64, 6);
  CHECK(ops::sum_to(x, {6, 5, 4}, "test").raw_data() == x.raw_data());
  const Tensor expected = Tensor::zeros({5, 4}, DType::f64);
  for (int64_t i = 0; i < x.numel(); ++i) expected.data<double>()[i % 20] += x.data<double>()[i];
  CHECK_CLOSE(ops::sum_to(x, {5, 4}, "test"), expected, 1e-14);
  CHECK(ops::sum_to(x, {}, "test").item() == doctest::Approx(ops::sum(x)));
  CHECK(ops::sum_to(Tensor::zeros({0, 4}), {4}, "test").to_vector<float>() == std::vector<float>(4, 0));
  CHECK(ops::sum_to(Tensor::zeros({3, 0}), {0}, "test").numel() == 0);
}

TEST_CASE("all_finite") {
  const Tensor x = Tensor::full({40000}, std::numeric_limits<float>::max());
  CHECK(ops::all_finite(x));
  CHECK(ops::all_finite(Tensor::zeros({0})));
  for (const double bad : {std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity(),
                           std::numeric_limits<double>::quiet_NaN()}) {
    x.slice(39999, 40000).fill(bad);
    CHECK_FALSE(ops::all_finite(x));
  }
}

TEST_CASE("elementwise errors name the operator and both shapes") {
  const Tensor a = Tensor::zeros({2, 3});
  CHECK_THROWS_WITH_AS(ops::add(a, Tensor::zeros({2})),
                       "add: shapes [2, 3] and [2]; the second must be the first or its last dimensions",
                       Error);
  CHECK_THROWS_WITH_AS(ops::multiply(a, Tensor::zeros({3}, DType::f64)),
                       "multiply: dtypes f32 and f64 differ", Error);
  CHECK_THROWS_WITH_AS(ops::add_into(a, Tensor::zeros({3})), "add_into: shapes [2, 3] and [3] differ", Error);
  CHECK_THROWS_WITH_AS(ops::weighted_sum(a, Tensor::zeros({3})), "weighted_sum: shapes [2, 3] and [3] differ",
                       Error);
  CHECK_THROWS_WITH_AS(ops::sum_to(a, {2}, "some_operator"),
                       "some_operator: a gradient of shape [2, 3] does not fit an input of shape [2]", Error);
  CHECK_THROWS_WITH_AS(ops::scale(Tensor::zeros({2}, DType::i32), 2), "scale: dtype i32, expected f32 or f64",
                       Error);
}
