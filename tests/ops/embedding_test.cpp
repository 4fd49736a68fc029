#include "tensor/ops/embedding.h"

#include <doctest/doctest.h>

#include "autograd/ops.h"
#include "tests/op_check.h"

using namespace dlcm;
using namespace dlcm::test;

namespace {

void check_embedding(const Shape& shape, const Tensor& ids) {
  OperatorCase c;
  c.name = concat("embedding of ", ids.shape(), " ids in ", shape);
  c.inputs = {random_tensor(shape, DType::f64, 1)};
  c.run = [=](const auto& in) { return std::vector{ops::embedding(ids, in[0])}; };
  c.reference = [=](const std::vector<Tensor>& in) {
    const int64_t d = shape[1];
    const Tensor y = Tensor::empty({ids.numel(), d}, DType::f64);
    for (int64_t i = 0; i < y.numel(); ++i) {
      y.data<double>()[i] = in[0].data<double>()[ids.data<int32_t>()[i / d] * d + i % d];
    }
    return std::vector{y};
  };
  c.differentiable = [=](const auto& in) { return std::vector{autograd::embedding(ids, in[0])}; };
  check_operator(c);
}

}  // namespace

TEST_CASE("embedding") {
  check_embedding({5, 3}, Tensor::from<int32_t>({4, 0, 0, 2}));
  check_embedding({1, 1}, Tensor::from<int32_t>({0}));
  check_embedding({5, 3}, Tensor::empty({0}, DType::i32));
  std::vector<int32_t> text;
  for (int32_t t = 0; t < 500; ++t) text.push_back(t * t % 60);
  check_embedding({60, 200}, Tensor::from(text));
}

TEST_CASE("embedding_backward sums in the order of the tokens; other rows are zero") {
  const Tensor dy = Tensor::from<float>({3, 2}, {1, 10, 2, 20, 4, 40});
  CHECK(ops::embedding_backward(dy, Tensor::from<int32_t>({2, 0, 2}), 4).to_vector<float>() ==
        std::vector<float>{2, 20, 0, 0, 5, 50, 0, 0});
}

TEST_CASE("embedding errors name position, id and vocabulary") {
  const Tensor table = Tensor::zeros({256, 2});
  CHECK_THROWS_WITH_AS(
      ops::embedding(Tensor::from<int32_t>({1, 2, 300}), table),
      "embedding: token 2 has id 300, the vocabulary has 256; were the tokens made with another "
      "tokenizer?",
      Error);
  CHECK_THROWS_AS(ops::embedding(Tensor::from<int32_t>({-1}), table), Error);
  CHECK_THROWS_AS(ops::embedding(Tensor::from<int32_t>({1}), Tensor::zeros({256})), Error);
  CHECK_THROWS_AS(ops::embedding_backward(Tensor::zeros({2, 2}), Tensor::from<int32_t>({1}), 256), Error);
}
