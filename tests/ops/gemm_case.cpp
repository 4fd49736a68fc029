#include "tests/ops/gemm_case.h"

#include <doctest/doctest.h>

namespace dlcm::test {
namespace {

// A matrix in the middle of a larger one of random numbers.
struct Block {
  static constexpr int64_t kMargin = 3;
  Tensor whole;

  Block(int64_t rows, int64_t columns, DType dtype, uint64_t seed)
      : whole(random_tensor({rows + 2 * kMargin, columns + 2 * kMargin},
                            dtype == DType::bf16 ? DType::f32 : dtype, seed)
                  .to(dtype)) {}
  int64_t stride() const { return whole.size(1); }
  int64_t at(int64_t row, int64_t column) const { return (row + kMargin) * stride() + column + kMargin; }
  void* begin() const { return static_cast<char*>(whole.raw_data()) + at(0, 0) * dtype_size_of(whole); }
  cpu::GemmOperand operand(bool along_k) const {
    return {begin(), whole.dtype(), stride(), along_k ? cpu::GemmOrder::along_k : cpu::GemmOrder::across_k};
  }

 private:
  static int64_t dtype_size_of(const Tensor& tensor) {
    return static_cast<int64_t>(dtype_size(tensor.dtype()));
  }
};

// As the product sees it: rounded where the other operand is bf16.
Tensor exact(const Tensor& x, DType arithmetic) {
  return arithmetic == DType::bf16 ? x.to(DType::bf16).to(DType::f32).to(DType::f64) : x.to(DType::f64);
}

// All of c's larger matrix after the product, by plain loops.
Tensor expected_of(const GemmCase& test, const Block& a, const Block& b, const Block& c) {
  const Tensor left = exact(a.whole, test.arithmetic()), right = exact(b.whole, test.arithmetic());
  const Tensor result = c.whole.to(DType::f64).clone();
  for (int64_t i = 0; i < test.m; ++i) {
    for (int64_t j = 0; j < test.n; ++j) {
      double& element = result.data<double>()[c.at(i, j)];
      double sum = test.accumulate ? element : 0;
      for (int64_t p = 0; p < test.k; ++p) {
        sum += left.data<double>()[test.ta ? a.at(p, i) : a.at(i, p)] *
               right.data<double>()[test.tb ? b.at(j, p) : b.at(p, j)];
      }
      element = sum;
    }
  }
  return result;
}

}  // namespace

std::string GemmCase::text() const {
  return concat(m, " x ", k, " of ", a, ta ? " transposed" : "", " times ", k, " x ", n, " of ", b,
                tb ? " transposed" : "", accumulate ? ", accumulated" : "");
}

const std::vector<std::array<int64_t, 3>> kGemmSizes = {
    {1, 1, 1},      {3, 5, 7},     {15, 33, 70}, {14, 32, 512}, {29, 64, 513}, {90, 37, 1030},
    {1, 300, 1025}, {170, 17, 31}, {5, 2100, 9}, {230, 33, 20}, {64, 64, 1024}};

void check_gemm(const GemmCase& test, Multiply multiply) {
  CAPTURE(test.text());
  const Block a(test.ta ? test.k : test.m, test.ta ? test.m : test.k, test.a, 1);
  const Block b(test.tb ? test.n : test.k, test.tb ? test.k : test.n, test.b, 2);
  const Block c(test.m, test.n, test.result(), 3), d(test.m, test.n, test.result(), 3);
  const Tensor expected = expected_of(test, a, b, c);
  cpu::Gemm product = {test.m,    test.n,     test.k,         a.operand(!test.ta), b.operand(test.tb),
                       c.begin(), c.stride(), test.accumulate};
  multiply(product);
  CHECK_CLOSE(c.whole, expected, test.result() == DType::f64 ? 1e-12 : 1e-4);

  const Tensor packed = Tensor::empty({cpu::packed_gemm_bytes(test.n, test.k, test.arithmetic())}, DType::u8);
  cpu::pack_gemm_operand(product.b, test.n, test.k, test.arithmetic(), packed.raw_data());
  product.b = {packed.raw_data(), test.arithmetic(), 0, cpu::GemmOrder::packed};
  product.c = d.begin();
  multiply(product);
  CHECK(bit_equal(d.whole, c.whole));
}

void check_gemm_forms(DType a, DType b, Multiply multiply) {
  for (const auto& [m, n, k] : kGemmSizes) {
    for (const int form : {0, 1, 2, 3}) {
      check_gemm({m, n, k, a, b, form % 2 == 1, form >= 2, form == 0 || form == 3}, multiply);
    }
  }
}

void check_exact_gemm(Multiply multiply) {
  const Tensor a = Tensor::empty({20, 600}), b = Tensor::empty({40, 600}), c = Tensor::empty({20, 40});
  for (int64_t i = 0; i < a.numel(); ++i) a.data<float>()[i] = static_cast<float>(i * 7 % 13 - 6);
  for (int64_t i = 0; i < b.numel(); ++i) b.data<float>()[i] = static_cast<float>(i * 5 % 11 - 5);
  const Tensor narrow = b.to(DType::bf16), d = c.empty_like();
  cpu::Gemm product = {20, 40, 600, {}, {}, c.raw_data(), 40, false};
  product.a = {a.raw_data(), DType::f32, 600, cpu::GemmOrder::along_k};
  product.b = {b.raw_data(), DType::f32, 600, cpu::GemmOrder::along_k};
  cpu::gemm(product);
  product.b = {narrow.raw_data(), DType::bf16, 600, cpu::GemmOrder::along_k};
  product.c = d.raw_data();
  multiply(product);
  CHECK(bit_equal(c, d));
}

namespace {

// The first `m` rows of a [40, 1200] by b [70, 1200] transposed.
Tensor first_rows(int64_t m, const Tensor& a, const Tensor& b, Multiply multiply) {
  const Tensor c = Tensor::empty({m, 70});
  const cpu::GemmOperand left = {a.raw_data(), DType::bf16, 1200, cpu::GemmOrder::along_k};
  const cpu::GemmOperand right = {b.raw_data(), DType::bf16, 1200, cpu::GemmOrder::along_k};
  multiply({m, 70, 1200, left, right, c.raw_data(), 70, false});
  return c;
}

// Any number of rows, each with the same bits.
void check_rows(Multiply multiply) {
  const Tensor a = random_tensor({40, 1200}, DType::f32, 1).to(DType::bf16);
  const Tensor b = random_tensor({70, 1200}, DType::f32, 2).to(DType::bf16);
  const Tensor all = first_rows(40, a, b, multiply);
  for (int64_t m = 1; m < 40; ++m) {
    CAPTURE(m);
    check_gemm({m, 33, 40, DType::f32, DType::bf16, false, true, m % 2 == 0}, multiply);
    CHECK(bit_equal(first_rows(m, a, b, multiply), all.slice(0, m)));
  }
}

}  // namespace

void check_bf16_gemm(Multiply multiply) {
  check_gemm_forms(DType::bf16, DType::bf16, multiply);
  check_gemm_forms(DType::f32, DType::bf16, multiply);
  check_gemm_forms(DType::bf16, DType::f32, multiply);
  check_exact_gemm(multiply);
  check_rows(multiply);
}

}  // namespace dlcm::test
