#include "tensor/tensor.h"

#include <cmath>
#include <limits>

#include <doctest/doctest.h>

using namespace dlcm;

TEST_CASE("tensor: creation") {
  CHECK_FALSE(Tensor().defined());
  const Tensor zeros = Tensor::zeros({2, 3});
  CHECK(zeros.dtype() == DType::f32);
  CHECK(zeros.device() == Device::cpu());
  CHECK(zeros.to_vector<float>() == std::vector<float>(6, 0));
  CHECK(Tensor::full({2}, 7, DType::i64).to_vector<int64_t>() == std::vector<int64_t>{7, 7});
  CHECK(Tensor::full({}, 2.5, DType::f64).item() == 2.5);
  const Tensor from = Tensor::from<int32_t>({2, 2}, {1, 2, 3, 4});
  CHECK(from.dtype() == DType::i32);
  CHECK(from.bytes() == 16);
  CHECK(Tensor::zeros({0, 5}).defined());
  CHECK(Tensor::zeros({0, 5}).to_vector<float>().empty());
  CHECK(from.empty_like().shape() == from.shape());
  CHECK(from.zeros_like().to_vector<int32_t>() == std::vector<int32_t>(4, 0));
}

TEST_CASE("tensor: copies, views and slices share the elements, clones do not") {
  const Tensor whole = Tensor::from<float>({3, 2}, {1, 2, 3, 4, 5, 6});
  CHECK(whole.unique());
  const Tensor copy = whole;
  CHECK_FALSE(whole.unique());
  const Tensor middle = whole.slice(1, 2);
  CHECK(middle.shape() == Shape{1, 2});
  CHECK(middle.to_vector<float>() == std::vector<float>{3, 4});
  middle.view({2}).fill(9);
  CHECK(copy.to_vector<float>() == std::vector<float>{1, 2, 9, 9, 5, 6});
  const Tensor clone = middle.clone();
  CHECK(clone.unique());
  clone.fill(0);
  CHECK(middle.to_vector<float>() == std::vector<float>{9, 9});
  CHECK(whole.slice(3, 3).numel() == 0);
  CHECK(whole.view({2, 3}).slice(1, 2).slice(0, 1).view({3, 1}).to_vector<float>() ==
        std::vector<float>{9, 5, 6});
  CHECK(Tensor::zeros({0, 4}).slice(0, 0).numel() == 0);
}

TEST_CASE("tensor: a slice outlives the handle it was cut from") {
  Tensor slice;
  {
    const Tensor whole = Tensor::from<float>({3}, {1, 2, 3});
    slice = whole.slice(1, 3);
  }
  CHECK(slice.unique());
  CHECK(slice.to_vector<float>() == std::vector<float>{2, 3});
}

TEST_CASE("tensor: conversions") {
  const Tensor x = Tensor::from<float>({1.5f, -2.0f, 3.25f});
  CHECK(x.to(DType::f32).raw_data() == x.raw_data());
  CHECK(x.to(Device::cpu()).raw_data() == x.raw_data());
  CHECK(x.to(DType::f64).to_vector<double>() == std::vector<double>{1.5, -2.0, 3.25});
  CHECK(x.to(DType::bf16).to(DType::f32).to_vector<float>() == x.to_vector<float>());
  CHECK(x.to(DType::i32).to_vector<int32_t>() == std::vector<int32_t>{1, -2, 3});
  CHECK(x.slice(1, 2).to(DType::f64).item() == -2.0);
  CHECK(Tensor::full({1}, 1.5, DType::bf16).item() == 1.5);
}

TEST_CASE("tensor: copy_from takes elements in place") {
  const Tensor target = Tensor::zeros({4});
  target.slice(1, 3).copy_from(Tensor::from<float>({5, 6}));
  CHECK(target.to_vector<float>() == std::vector<float>{0, 5, 6, 0});
  target.slice(0, 3).copy_from(target.slice(1, 4));  // overlapping
  CHECK(target.to_vector<float>() == std::vector<float>{5, 6, 0, 0});
}

TEST_CASE("tensor errors name shapes and dtypes") {
  const Tensor x = Tensor::zeros({2, 3});
  CHECK_THROWS_WITH_AS(x.data<double>(), "tensor [2, 3] of f32 read as f64", Error);
  CHECK_THROWS_WITH_AS(x.view({5}), "view: [2, 3] has 6 elements, [5] has 5", Error);
  CHECK_THROWS_WITH_AS(x.slice(1, 3), "slice: rows 1 to 3 of [2, 3]", Error);
  CHECK_THROWS_WITH_AS(x.slice(2, 1), "slice: rows 2 to 1 of [2, 3]", Error);
  CHECK_THROWS_WITH_AS(x.item(), "item: tensor has shape [2, 3], expected one element", Error);
  CHECK_THROWS_WITH_AS(Tensor::from<float>({3}, {1, 2}), "tensor of shape [3] from 2 values", Error);
  CHECK_THROWS_WITH_AS(x.copy_from(Tensor::zeros({3, 2})), "copy_from: [3, 2] of f32 into [2, 3] of f32",
                       Error);
  CHECK_THROWS_WITH_AS(Tensor::empty({int64_t{1} << 62}),
                       "tensor of shape [4611686018427387904]: its size in bytes overflows", Error);
}
