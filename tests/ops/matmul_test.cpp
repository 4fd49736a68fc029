#include "tensor/ops/matmul.h"

#include <array>

#include <doctest/doctest.h>

#include "autograd/ops.h"
#include "tensor/parallel.h"
#include "tests/op_check.h"

using namespace dlcm;
using namespace dlcm::test;
using ops::Transpose;

namespace {

Tensor transposed(const Tensor& x) {
  const Tensor y = Tensor::empty({x.size(1), x.size(0)}, x.dtype());
  for (int64_t i = 0; i < x.size(0); ++i) {
    for (int64_t j = 0; j < x.size(1); ++j) {
      y.data<double>()[j * x.size(0) + i] = x.data<double>()[i * x.size(1) + j];
    }
  }
  return y;
}

Tensor naive_matmul(const Tensor& a, const Tensor& b) {
  const Tensor c = Tensor::zeros({a.size(0), b.size(1)}, DType::f64);
  for (int64_t i = 0; i < a.size(0); ++i) {
    for (int64_t k = 0; k < a.size(1); ++k) {
      for (int64_t j = 0; j < b.size(1); ++j) {
        c.data<double>()[i * b.size(1) + j] +=
            a.data<double>()[i * a.size(1) + k] * b.data<double>()[k * b.size(1) + j];
      }
    }
  }
  return c;
}

void check_matmul(int64_t m, int64_t k, int64_t n, Transpose ta, Transpose tb) {
  OperatorCase c;
  c.name = concat("matmul ", m, " x ", k, " x ", n, ta == Transpose::yes ? ", A^T" : "",
                  tb == Transpose::yes ? ", B^T" : "");
  c.inputs = {random_tensor(ta == Transpose::yes ? Shape{k, m} : Shape{m, k}, DType::f64, 1),
              random_tensor(tb == Transpose::yes ? Shape{n, k} : Shape{k, n}, DType::f64, 2)};
  c.run = [=](const auto& in) { return std::vector{ops::matmul(in[0], ta, in[1], tb)}; };
  c.reference = [=](const auto& in) {
    return std::vector{naive_matmul(ta == Transpose::yes ? transposed(in[0]) : in[0],
                                    tb == Transpose::yes ? transposed(in[1]) : in[1])};
  };
  c.tolerance_f32 = 3e-5;
  check_operator(c);
}

void check_linear(const Shape& x, int64_t out) {
  OperatorCase c;
  c.name = concat("linear of ", x, " to ", out);
  c.inputs = {random_tensor(x, DType::f64, 3), random_tensor({out, x[-1]}, DType::f64, 4)};
  c.run = [](const auto& in) { return std::vector{ops::linear(in[0], in[1])}; };
  c.reference = [](const std::vector<Tensor>& in) {
    const int64_t d = in[0].size(-1);
    std::vector<int64_t> sizes = in[0].shape().sizes();
    sizes.back() = in[1].size(0);
    const Tensor rows = in[0].view({d == 0 ? 0 : in[0].numel() / d, d});
    return std::vector{naive_matmul(rows, transposed(in[1])).view(Shape(sizes))};
  };
  c.differentiable = [](const auto& in) { return std::vector{autograd::linear(in[0], in[1])}; };
  c.tolerance_f32 = 3e-5;
  check_operator(c);
}

}  // namespace

TEST_CASE("matmul in all transpositions, sizes off every multiple") {
  for (const Transpose ta : {Transpose::no, Transpose::yes}) {
    for (const Transpose tb : {Transpose::no, Transpose::yes}) {
      check_matmul(1, 1, 1, ta, tb);
      check_matmul(2, 7, 3, ta, tb);
      check_matmul(33, 70, 13, ta, tb);
      check_matmul(37, 129, 65, ta, tb);
      check_matmul(0, 4, 3, ta, tb);
      check_matmul(3, 4, 0, ta, tb);
      check_matmul(3, 0, 4, ta, tb);  // an empty sum is 0
    }
  }
}

TEST_CASE("linear: leading dimensions") {
  for (const int64_t rows : {0, 1, 2, 32, 33}) check_linear({rows, 67}, 19);
  check_linear({5}, 3);
  check_linear({2, 3, 8}, 4);
  check_linear({400, 40}, 24);
}

TEST_CASE("a row's bits depend neither on the number of rows nor on the weight's order in memory") {
  for (const int64_t d : {1, 63, 64, 200, 600}) {
    for (const DType dtype : {DType::f32, DType::bf16}) {
      const Tensor x = random_tensor({200, d}, DType::f32, 5);
      const Tensor weight = random_tensor({50, d}, DType::f32, 6).to(dtype);
      const Tensor all = ops::linear(x, weight);
      const ops::PackedWeight packed(weight, dtype);
      CHECK(bit_equal(ops::linear(x, packed), all));
      for (const int64_t rows : {1, 2, 5, 31, 130}) {
        CHECK(bit_equal(ops::linear(x.slice(0, rows), weight), all.slice(0, rows)));
        CHECK(bit_equal(ops::linear(x.slice(0, rows), packed), all.slice(0, rows)));
      }
      for (const int64_t row : {3, 31, 199}) {
        CHECK(bit_equal(ops::linear(x.slice(row, row + 1), weight), all.slice(row, row + 1)));
      }
    }
  }
}

TEST_CASE("a packed weight: rounded to bf16, shapes and errors") {
  const Tensor x = random_tensor({2, 3, 40}, DType::f32, 15), weight = random_tensor({9, 40}, DType::f32, 16);
  const ops::PackedWeight narrow(weight, DType::bf16);
  CHECK(ops::linear(x, narrow).shape() == Shape{2, 3, 9});
  CHECK(bit_equal(ops::linear(x, narrow), ops::linear(x, weight.to(DType::bf16))));
  CHECK(narrow.bytes() < ops::PackedWeight(weight, DType::f32).bytes());
  CHECK(ops::linear(Tensor::zeros({0, 40}), narrow).shape() == Shape{0, 9});
  CHECK_THROWS_WITH_AS(
      ops::linear(Tensor::zeros({2, 39}), narrow),
      "linear: x has shape [2, 39], the packed weight [9, 40]; expected rows of x as long as those of "
      "the weight",
      Error);
  CHECK_THROWS_WITH_AS(ops::PackedWeight(weight.to(DType::f64), DType::f32),
                       "packed weight: a weight of f64 for products in f32", Error);
}

TEST_CASE("linear_many: the bits of each product alone, with any number of threads") {
  const int before = thread_count();
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16}) {
    const DType wide = dtype == DType::f64 ? DType::f64 : DType::f32;
    std::vector<ops::PackedWeight> weights;
    for (const int64_t out : {200, 0, 31, 700, 1}) {
      weights.emplace_back(random_tensor({out, 1100}, wide, static_cast<uint64_t>(out)), dtype);
    }
    std::vector<const ops::PackedWeight*> all;
    for (const ops::PackedWeight& weight : weights) all.push_back(&weight);
    for (const int64_t rows : {1, 7, 100}) {
      const Tensor x = random_tensor({rows, 1100}, wide, 17);
      for (const int threads : {1, 2, 3}) {
        set_thread_count(threads);
        const std::vector<Tensor> results = ops::linear_many(x, all);
        REQUIRE(results.size() == all.size());
        for (size_t i = 0; i < all.size(); ++i) {
          CHECK(bit_equal(results[i], ops::linear(x, weights[i])));
        }
      }
    }
  }
  set_thread_count(before);
}

TEST_CASE("linear_many: errors") {
  const ops::PackedWeight narrow(Tensor::zeros({2, 4}), DType::bf16), wide(Tensor::zeros({2, 4}), DType::f32);
  const ops::PackedWeight longer(Tensor::zeros({2, 5}), DType::bf16);
  const auto products = [x = Tensor::zeros({3, 4})](const ops::PackedWeight& a, const ops::PackedWeight& b) {
    const ops::PackedWeight* const both[] = {&a, &b};
    return ops::linear_many(x, both);
  };
  CHECK_THROWS_WITH_AS(products(narrow, wide), "linear_many: weights packed for bf16 and for f32", Error);
  CHECK_THROWS_WITH_AS(products(narrow, longer),
                       "linear: x has shape [3, 4], the packed weight [2, 5]; expected rows of x as long as "
                       "those of the weight",
                       Error);
  const auto product = [](DType x, DType weight, DType arithmetic) {
    return ops::linear(Tensor::zeros({3, 4}, x),
                       ops::PackedWeight(Tensor::zeros({2, 4}, weight), arithmetic));
  };
  CHECK_THROWS_WITH_AS(product(DType::f32, DType::f64, DType::f64),
                       "linear: x is f32, the weight packed for products in f64", Error);
  CHECK_THROWS_WITH_AS(product(DType::f64, DType::f32, DType::f32),
                       "linear: x is f64, the weight packed for products in f32", Error);
  CHECK_THROWS_WITH_AS(product(DType::bf16, DType::f32, DType::f32),
                       "linear: x is bf16, the weight packed for products in f32", Error);
}

TEST_CASE("linear_many: no weights, no rows, nothing to sum") {
  CHECK(ops::linear_many(Tensor::zeros({3, 4}), {}).empty());
  const ops::PackedWeight weight(Tensor::zeros({2, 4}), DType::f32), none(Tensor::zeros({2, 0}), DType::f32);
  const ops::PackedWeight *const twice[] = {&weight, &weight}, *const empty[] = {&none};
  for (const Tensor& y : ops::linear_many(Tensor::zeros({0, 4}), twice)) CHECK(y.shape() == Shape{0, 2});
  CHECK(bit_equal(ops::linear_many(Tensor::zeros({3, 0}), empty).front(), Tensor::zeros({3, 2})));
}

TEST_CASE("matmul_into accumulates") {
  for (const int64_t rows : {0, 3, 40}) {
    for (const DType dtype : {DType::f32, DType::f64}) {
      const Tensor a = random_tensor({rows, 20}, dtype, 7), b = random_tensor({9, 20}, dtype, 8);
      const Tensor c = random_tensor({rows, 9}, dtype, 9);
      const Tensor expected = naive_matmul(a.to(DType::f64), transposed(b.to(DType::f64)));
      for (int64_t i = 0; i < expected.numel(); ++i) {
        expected.data<double>()[i] += c.to(DType::f64).data<double>()[i];
      }
      ops::matmul_into(a, Transpose::no, b, Transpose::yes, c, true);
      CHECK_CLOSE(c, expected, dtype == DType::f32 ? 1e-5 : 1e-12);
    }
  }
  const Tensor kept = Tensor::full({2, 2}, 5.0);
  ops::matmul_into(Tensor::zeros({2, 0}), Transpose::no, Tensor::zeros({0, 2}), Transpose::no, kept, true);
  CHECK(kept.to_vector<float>() == std::vector<float>(4, 5));
}

TEST_CASE("products do not depend on the number of threads, long sums of few elements neither") {
  const int threads = thread_count();
  for (const auto& [m, n, k] :
       std::vector<std::array<int64_t, 3>>{{8, 12, 4000}, {128, 130, 3000}, {700, 90, 64}, {16, 3000, 100}}) {
    CAPTURE(concat(m, " x ", n, " x ", k));
    const Tensor x = random_tensor({m, k}, DType::f32, 10), weight = random_tensor({n, k}, DType::f32, 11);
    const Tensor dy = random_tensor({m, n}, DType::f32, 12);
    std::vector<Tensor> first;
    for (const int count : {1, 2, 3, 8, 24}) {
      set_thread_count(count);
      const std::vector<Tensor> results = {ops::linear(x, weight), ops::linear_backward_input(dy, weight),
                                           ops::linear_backward_weight(dy, x),
                                           ops::linear_backward_weight(x.view({k, m}), weight.view({k, n}))};
      if (count == 1) first = results;
      for (size_t i = 0; i < results.size(); ++i) CHECK(bit_equal(results[i], first[i]));
    }
  }
  set_thread_count(threads);
}

TEST_CASE("products of several tiles") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Tensor a = random_tensor({300, 70}, dtype, 13), b = random_tensor({70, 203}, dtype, 14);
    const Tensor expected = naive_matmul(a.to(DType::f64), b.to(DType::f64));
    const Tensor at = transposed(a.to(DType::f64)).to(dtype), bt = transposed(b.to(DType::f64)).to(dtype);
    const double tolerance = dtype == DType::f32 ? 3e-5 : 1e-12;
    CHECK_CLOSE(ops::matmul(a, Transpose::no, b, Transpose::no), expected, tolerance);
    CHECK_CLOSE(ops::matmul(at, Transpose::yes, b, Transpose::no), expected, tolerance);
    CHECK_CLOSE(ops::matmul(a, Transpose::no, bt, Transpose::yes), expected, tolerance);
    CHECK_CLOSE(ops::matmul(at, Transpose::yes, bt, Transpose::yes), expected, tolerance);
  }
}

TEST_CASE("matmul errors name the shapes") {
  const Tensor a = Tensor::zeros({2, 3});
  CHECK_THROWS_WITH_AS(ops::matmul(a, Transpose::no, a, Transpose::no),
                       "matmul: inner sizes differ: [2, 3] times [2, 3]", Error);
  CHECK_THROWS_WITH_AS(
      ops::linear(a, Tensor::zeros({5, 4})),
      "linear: x has shape [2, 3], weight [5, 4]; expected rows of x as long as those of the "
      "weight",
      Error);
  CHECK_THROWS_WITH_AS(ops::matmul(a, Transpose::no, Tensor::zeros({3, 2}, DType::f64), Transpose::no),
                       "matmul: dtypes f32 and f64; expected f32 or bf16 each, or f64 both", Error);
  CHECK_THROWS_WITH_AS(
      ops::matmul_into(a, Transpose::no, Tensor::zeros({3, 2}), Transpose::no, Tensor::zeros({2, 3}), false),
      "matmul: result has shape [2, 3], expected [2, 2]", Error);
}
