#include "tensor/ops/gather_rows.h"

#include <doctest/doctest.h>

#include "autograd/ops.h"
#include "tensor/random.h"
#include "tests/op_check.h"

using namespace dlcm;
using namespace dlcm::test;

namespace {

Tensor random_index(int64_t count, int64_t rows, uint64_t seed) {
  const Tensor index = Tensor::empty({count}, DType::i32);
  for (int64_t i = 0; i < count; ++i) {
    index.data<int32_t>()[i] = static_cast<int32_t>(
        random_bits(seed, RandomStream::tests, 1, static_cast<uint64_t>(i)) % static_cast<uint64_t>(rows));
  }
  return index;
}

void check_gather(const Shape& shape, const Tensor& index) {
  OperatorCase c;
  c.name = concat("gather_rows of ", shape, " by ", index.shape());
  c.inputs = {random_tensor(shape, DType::f64, 1)};
  c.run = [=](const auto& in) { return std::vector{ops::gather_rows(in[0], index)}; };
  c.reference = [=](const std::vector<Tensor>& in) {
    std::vector<int64_t> sizes = in[0].shape().sizes();
    const int64_t row = sizes[0] == 0 ? 0 : in[0].numel() / sizes[0];
    sizes[0] = index.numel();
    const Tensor y = Tensor::empty(Shape(sizes), DType::f64);
    for (int64_t i = 0; i < y.numel(); ++i) {
      y.data<double>()[i] = in[0].data<double>()[index.data<int32_t>()[i / row] * row + i % row];
    }
    return std::vector{y};
  };
  c.differentiable = [=](const auto& in) { return std::vector{autograd::gather_rows(in[0], index)}; };
  check_operator(c);
}

}  // namespace

TEST_CASE("gather_rows") {
  check_gather({4, 3}, Tensor::from<int32_t>({3, 0, 0, 1, 3, 3}));
  check_gather({4}, Tensor::from<int32_t>({2, 2}));
  check_gather({2, 3, 5}, Tensor::from<int32_t>({1, 1, 0}));
  check_gather({3, 2}, Tensor::empty({0}, DType::i32));
  check_gather({0, 2}, Tensor::empty({0}, DType::i32));
  check_gather({3, 0}, Tensor::from<int32_t>({1, 2}));
  check_gather({40, 300}, random_index(400, 40, 1));  // several ranges of columns and of rows
}

TEST_CASE("gather_rows_backward adds in the order of the rows") {
  // In float32 2^24 + 1 + 1 is 2^24, while 1 + 1 + 2^24 is 2^24 + 2.
  const float big = 1 << 24;
  const Tensor index = Tensor::from<int32_t>({1, 1, 1});
  CHECK(ops::gather_rows_backward(Tensor::from<float>({3, 1}, {big, 1, 1}), index, 2).to_vector<float>() ==
        std::vector<float>{0, big});
  CHECK(ops::gather_rows_backward(Tensor::from<float>({3, 1}, {1, 1, big}), index, 2).to_vector<float>() ==
        std::vector<float>{0, big + 2});
}

TEST_CASE("gather_rows errors") {
  const Tensor x = Tensor::zeros({4, 2});
  CHECK_THROWS_WITH_AS(ops::gather_rows(x, Tensor::from<int32_t>({0, 4})),
                       "gather_rows: index 1 is 4, x has 4 rows", Error);
  CHECK_THROWS_WITH_AS(ops::gather_rows(x, Tensor::from<int32_t>({-1})),
                       "gather_rows: index 0 is -1, x has 4 rows", Error);
  CHECK_THROWS_WITH_AS(ops::gather_rows_backward(x, Tensor::from<int32_t>({0}), 4),
                       "gather_rows_backward: dy has shape [4, 2], there are 1 indices", Error);
}
