#include "tests/ops/gemm_check.h"

#include <doctest/doctest.h>

#include "tests/op_check.h"

namespace dlcm::test {
namespace {

// A matrix in the middle of a larger one of random numbers.
struct Block {
  static constexpr int64_t kMargin = 3;
  Tensor whole;

  Block(int64_t rows, int64_t columns, DType dtype, uint64_t seed)
      : whole(random_tensor({rows + 2 * kMargin, columns + 2 * kMargin}, dtype, seed)) {}
  int64_t stride() const { return whole.size(1); }
  int64_t at(int64_t row, int64_t column) const { return (row + kMargin) * stride() + column + kMargin; }
};

// All of c's larger matrix after the product.
Tensor expected_of(const Block& a, bool ta, const Block& b, bool tb, const Block& c, bool accumulate,
                   int64_t m, int64_t n, int64_t k) {
  const Tensor left = a.whole.to(DType::f64), right = b.whole.to(DType::f64);
  const Tensor result = c.whole.to(DType::f64).clone();
  const double* first = left.data<double>() + a.at(0, 0);
  const double* second = right.data<double>() + b.at(0, 0);
  const int64_t first_row = ta ? 1 : a.stride(), first_column = ta ? a.stride() : 1;
  const int64_t second_row = tb ? 1 : b.stride(), second_column = tb ? b.stride() : 1;
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      double& element = result.data<double>()[c.at(i, j)];
      double sum = accumulate ? element : 0;
      for (int64_t p = 0; p < k; ++p) {
        sum += first[i * first_row + p * first_column] * second[p * second_row + j * second_column];
      }
      element = sum;
    }
  }
  return result;
}

}  // namespace

template <class T>
void check_gemm(const std::function<void(const cpu::Gemm<T>&)>& engine, int64_t m, int64_t n, int64_t k,
                double tolerance) {
  constexpr DType dtype = DTypeOf<T>::value;
  for (const bool ta : {false, true}) {
    for (const bool tb : {false, true}) {
      for (const bool accumulate : {false, true}) {
        CAPTURE(concat(m, " x ", k, " x ", n, ta ? ", A^T" : "", tb ? ", B^T" : "",
                       accumulate ? ", accumulated" : ""));
        const Block a(ta ? k : m, ta ? m : k, dtype, 1), b(tb ? n : k, tb ? k : n, dtype, 2),
            c(m, n, dtype, 3);
        const Tensor expected = expected_of(a, ta, b, tb, c, accumulate, m, n, k);
        engine({ta, tb, m, n, k, a.whole.data<T>() + a.at(0, 0), a.stride(), b.whole.data<T>() + b.at(0, 0),
                b.stride(), c.whole.data<T>() + c.at(0, 0), c.stride(), accumulate});
        CHECK_CLOSE(c.whole, expected, tolerance);
      }
    }
  }
}

template void check_gemm<float>(const std::function<void(const cpu::Gemm<float>&)>&, int64_t, int64_t,
                                int64_t, double);
template void check_gemm<double>(const std::function<void(const cpu::Gemm<double>&)>&, int64_t, int64_t,
                                 int64_t, double);

}  // namespace dlcm::test
