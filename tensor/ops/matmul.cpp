#include "tensor/ops/matmul.h"

#include "tensor/dispatch.h"
#include "tensor/ops/gemm.h"
#include "tensor/profile.h"

namespace dlcm::cpu {
namespace {

GemmOperand left_of(const Tensor& a, bool transposed) {
  return {a.raw_data(), a.dtype(), a.size(1), transposed ? GemmOrder::across_k : GemmOrder::along_k};
}

GemmOperand right_of(const Tensor& b, bool transposed) {
  return {b.raw_data(), b.dtype(), b.size(1), transposed ? GemmOrder::along_k : GemmOrder::across_k};
}

void matmul_forward(const GemmOperand& a, const GemmOperand& b, int64_t k, const Tensor& c, bool accumulate) {
  if (c.numel() == 0) return;
  if (k == 0) {
    if (!accumulate) c.fill(0);
    return;
  }
  gemm({c.size(0), c.size(1), k, a, b, c.raw_data(), c.size(1), accumulate});
}

void linear_packed(const Tensor& x, std::span<const ops::PackedWeight* const> weights,
                   const std::vector<Tensor>& results) {
  std::vector<Gemm> products;
  for (size_t i = 0; i < weights.size(); ++i) {
    const ops::PackedWeight& weight = *weights[i];
    if (results[i].numel() == 0) continue;
    if (weight.in() == 0) {
      results[i].fill(0);
      continue;
    }
    const GemmOperand right = {weight.words(), weight.arithmetic(), 0, GemmOrder::packed};
    products.push_back({x.size(0), weight.out(), weight.in(), left_of(x, false), right, results[i].raw_data(),
                        weight.out(), false});
  }
  if (!products.empty()) gemm_many(products);
}

void pack_weight(const Tensor& weight, DType arithmetic, const Tensor& words) {
  if (weight.numel() == 0) return;
  pack_gemm_operand(right_of(weight, true), weight.size(0), weight.size(1), arithmetic, words.raw_data());
}

}  // namespace
}  // namespace dlcm::cpu

namespace dlcm::ops {
namespace {

// Dtype of the products of a and b; throws Error where they do not go together.
DType arithmetic_of(const Tensor& a, const Tensor& b) {
  const auto narrow = [](const Tensor& x) { return x.dtype() == DType::f32 || x.dtype() == DType::bf16; };
  DLCM_CHECK((narrow(a) && narrow(b)) || (a.dtype() == DType::f64 && b.dtype() == DType::f64),
             "matmul: dtypes ", a.dtype(), " and ", b.dtype(), "; expected f32 or bf16 each, or f64 both");
  return a.dtype() == DType::bf16 ? DType::bf16 : b.dtype();
}

DType result_of(DType arithmetic) {
  return arithmetic == DType::f64 ? DType::f64 : DType::f32;
}

// Rows of the last dimension.
int64_t rows_of(const Tensor& x) {
  DLCM_CHECK(x.rank() >= 1, "linear: x has no dimensions");
  int64_t rows = 1;
  for (int64_t axis = 0; axis + 1 < x.rank(); ++axis) rows *= x.size(axis);
  return rows;
}

Tensor as_rows(const Tensor& x) {
  const int64_t rows = rows_of(x);
  return x.view({rows, x.size(-1)});
}

Shape with_last(const Shape& shape, int64_t last) {
  std::vector<int64_t> sizes = shape.sizes();
  sizes.back() = last;
  return Shape(std::move(sizes));
}

void check_packed(const Tensor& x, const PackedWeight& weight, const PackedWeight& first) {
  DLCM_CHECK(x.rank() >= 1 && x.size(-1) == weight.in(), "linear: x has shape ", x.shape(),
             ", the packed weight ", Shape{weight.out(), weight.in()},
             "; expected rows of x as long as those of the weight");
  DLCM_CHECK(weight.arithmetic() == first.arithmetic(), "linear_many: weights packed for ",
             first.arithmetic(), " and for ", weight.arithmetic());
  const bool rounds = x.dtype() == DType::f32 && weight.arithmetic() == DType::bf16;
  DLCM_CHECK(x.dtype() == weight.arithmetic() || rounds, "linear: x is ", x.dtype(),
             ", the weight packed for products in ", weight.arithmetic());
}

double flops_of(int64_t m, int64_t n, int64_t k) {
  return 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
}

}  // namespace

void matmul_into(const Tensor& a, Transpose transpose_a, const Tensor& b, Transpose transpose_b,
                 const Tensor& c, bool accumulate) {
  const bool ta = transpose_a == Transpose::yes;
  const bool tb = transpose_b == Transpose::yes;
  DLCM_CHECK(a.rank() == 2 && b.rank() == 2 && c.rank() == 2, "matmul: operands ", a.shape(), ", ", b.shape(),
             ", result ", c.shape(), "; expected rank 2");
  const DType result = result_of(arithmetic_of(a, b));
  DLCM_CHECK(c.dtype() == result, "matmul: result is ", c.dtype(), ", expected ", result, " for operands ",
             a.dtype(), " and ", b.dtype());
  const int64_t m = a.size(ta ? 1 : 0);
  const int64_t k = a.size(ta ? 0 : 1);
  const int64_t n = b.size(tb ? 0 : 1);
  DLCM_CHECK(b.size(tb ? 1 : 0) == k, "matmul: inner sizes differ: ", a.shape(), ta ? "^T" : "", " times ",
             b.shape(), tb ? "^T" : "");
  DLCM_CHECK(c.size(0) == m && c.size(1) == n, "matmul: result has shape ", c.shape(), ", expected ",
             Shape{m, n});
  const ProfileScope profile("matmul", flops_of(m, n, k));
  DLCM_DISPATCH_CPU(a.device(), matmul_forward(cpu::left_of(a, ta), cpu::right_of(b, tb), k, c, accumulate));
}

Tensor matmul(const Tensor& a, Transpose transpose_a, const Tensor& b, Transpose transpose_b) {
  DLCM_CHECK(a.rank() == 2 && b.rank() == 2, "matmul: operands ", a.shape(), " and ", b.shape(),
             "; expected rank 2");
  const int64_t m = a.size(transpose_a == Transpose::yes ? 1 : 0);
  const int64_t n = b.size(transpose_b == Transpose::yes ? 0 : 1);
  const AllocationScope made_by("matmul");
  const Tensor c = Tensor::empty({m, n}, result_of(arithmetic_of(a, b)), a.device());
  matmul_into(a, transpose_a, b, transpose_b, c, false);
  return c;
}

Tensor linear(const Tensor& x, const Tensor& weight) {
  DLCM_CHECK(weight.rank() == 2 && x.rank() >= 1 && x.size(-1) == weight.size(1), "linear: x has shape ",
             x.shape(), ", weight ", weight.shape(), "; expected rows of x as long as those of the weight");
  return matmul(as_rows(x), Transpose::no, weight, Transpose::yes).view(with_last(x.shape(), weight.size(0)));
}

Tensor linear_backward_input(const Tensor& dy, const Tensor& weight) {
  return matmul(as_rows(dy), Transpose::no, weight, Transpose::no)
      .view(with_last(dy.shape(), weight.size(1)));
}

Tensor linear_backward_weight(const Tensor& dy, const Tensor& x) {
  return matmul(as_rows(dy), Transpose::yes, as_rows(x), Transpose::no);
}

PackedWeight::PackedWeight(const Tensor& weight, DType arithmetic) : arithmetic_(arithmetic) {
  DLCM_CHECK(weight.rank() == 2, "packed weight: shape ", weight.shape(), ", expected rank 2");
  const bool wide = weight.dtype() == DType::f64;
  DLCM_CHECK(is_floating(weight.dtype()) && wide == (arithmetic == DType::f64), "packed weight: a weight of ",
             weight.dtype(), " for products in ", arithmetic);
  out_ = weight.size(0);
  in_ = weight.size(1);
  words_ = Tensor::empty({cpu::packed_gemm_bytes(out_, in_, arithmetic)}, DType::u8, weight.device());
  DLCM_DISPATCH_CPU(weight.device(), pack_weight(weight, arithmetic, words_));
}

Tensor linear(const Tensor& x, const PackedWeight& weight) {
  const PackedWeight* const only = &weight;
  return linear_many(x, {&only, 1}).front();
}

std::vector<Tensor> linear_many(const Tensor& x, std::span<const PackedWeight* const> weights) {
  if (weights.empty()) return {};
  const AllocationScope made_by("matmul");
  const int64_t rows = rows_of(x);
  double flops = 0;
  std::vector<Tensor> results;
  for (const PackedWeight* weight : weights) {
    check_packed(x, *weight, *weights.front());
    flops += flops_of(rows, weight->out(), weight->in());
    results.push_back(
        Tensor::empty(with_last(x.shape(), weight->out()), result_of(weight->arithmetic()), x.device()));
  }
  const ProfileScope profile("matmul", flops);
  DLCM_DISPATCH_CPU(x.device(), linear_packed(as_rows(x), weights, results));
  return results;
}

std::string matmul_engine() {
  return cpu::gemm_engine();
}

}  // namespace dlcm::ops
