#include "tensor/tile_product.h"

#include <doctest/doctest.h>

#include "tests/op_check.h"

namespace dlcm::test {
namespace {

template <class T>
void check_product(int64_t rows, int64_t lanes, int64_t depth, bool transposed) {
  const DType dtype = DTypeOf<T>::value;
  const Tensor a = random_tensor({rows, depth}, dtype, 1);
  const Tensor b = random_tensor({depth, lanes}, dtype, 2);
  const Tensor c = random_tensor({rows, lanes}, dtype, 3);
  const Tensor expected = Tensor::empty({rows, lanes}, DType::f64);
  // a as it is, or as the transpose of what is in memory (depth by rows).
  cpu::StridedView<T> view = {a.data<T>(), depth, 1};
  if (transposed) view = cpu::StridedView<T>{a.data<T>(), rows, 1}.transposed();
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t lane = 0; lane < lanes; ++lane) {
      double sum = 0;
      for (int64_t k = 0; k < depth; ++k) {
        sum += static_cast<double>(view.data[i * view.row_stride + k * view.column_stride]) *
               static_cast<double>(b.data<T>()[k * lanes + lane]);
      }
      expected.data<double>()[i * lanes + lane] = sum;
    }
  }
  const double tolerance = dtype == DType::f32 ? 1e-5 : 1e-13;
  const Tensor product = c.clone();
  cpu::tile_product<cpu::Store::overwrite>(rows, lanes, depth, view, b.data<T>(), product.data<T>());
  CHECK_CLOSE(product, expected, tolerance);
  for (int64_t i = 0; i < c.numel(); ++i) expected.data<double>()[i] += static_cast<double>(c.data<T>()[i]);
  cpu::tile_product<cpu::Store::add>(rows, lanes, depth, view, b.data<T>(), c.data<T>());
  CHECK_CLOSE(c, expected, tolerance);
}

// Pairs along k in place of elements: twice the depth.
void check_pairs(int64_t rows, int64_t lanes, int64_t depth) {
  const Tensor a = random_tensor({rows, 2 * depth}, DType::bf16, 1);
  const Tensor b = random_tensor({depth, 2 * lanes}, DType::bf16, 2);  // both of a pair side by side
  const Tensor expected = Tensor::zeros({rows, lanes}, DType::f64);
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t k = 0; k < 2 * depth; ++k) {
      for (int64_t lane = 0; lane < lanes; ++lane) {
        const Bf16 right = b.data<Bf16>()[k / 2 * 2 * lanes + 2 * lane + k % 2];
        expected.data<double>()[i * lanes + lane] +=
            static_cast<double>(static_cast<float>(a.data<Bf16>()[i * 2 * depth + k])) *
            static_cast<double>(static_cast<float>(right));
      }
    }
  }
  const Tensor product = Tensor::empty({rows, lanes});
  const auto* left = reinterpret_cast<const cpu::Bf16Pair*>(a.data<Bf16>());
  cpu::tile_product<cpu::Store::overwrite>(
      rows, lanes, depth, cpu::StridedView<cpu::Bf16Pair>{left, depth, 1},
      reinterpret_cast<const cpu::Bf16Pair*>(b.data<Bf16>()), product.data<float>());
  CHECK_CLOSE(product, expected, 1e-5);
}

}  // namespace

TEST_CASE("tile_product: pairs of bf16") {
  for (int64_t rows = 1; rows <= 13; ++rows) {
    for (const int64_t lanes : {16, 48, 64}) check_pairs(rows, lanes, 7);
  }
}

TEST_CASE("tile_product: every size of a block and of what is left over") {
  for (int64_t rows = 1; rows <= 13; ++rows) {
    for (const int64_t lanes : {16, 32, 48, 64, 80}) {
      check_product<float>(rows, lanes, 7, rows % 2 == 0);
      check_product<double>(rows, lanes, 5, rows % 2 != 0);
    }
  }
  check_product<float>(6, 16, 0, false);
  check_product<float>(0, 16, 3, false);
}

}  // namespace dlcm::test
