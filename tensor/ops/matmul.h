// Matrix product: C = op(A) op(B), row-major.
//
// Arithmetic follows the dtypes of the operands. Both f32: products and sums in float32. Both f64: in
// float64, for checks. One or both bf16: both rounded to bf16, products summed in float32. The result is f64
// or f32. (A bf16 tensor is an operand of matrix products, rounded once where it is made; sums, norms,
// softmax, gradients stay float32.)
//
// The products are our own (tensor/ops/gemm.h): the bits of a row depend on that row and on B alone, neither
// on how many rows there are nor on the number of threads; `benchmark matmul` compares their speed with
// oneDNN's.
#pragma once

#include <span>
#include <vector>

#include "tensor/tensor.h"

namespace dlcm::ops {

enum class Transpose { no, yes };

// op(A) [m, k] times op(B) [k, n]; a and b have rank 2. Throws Error naming both shapes where k differs.
Tensor matmul(const Tensor& a, Transpose transpose_a, const Tensor& b, Transpose transpose_b);
// The same into c [m, n], adding to what it holds where `accumulate`.
void matmul_into(const Tensor& a, Transpose transpose_a, const Tensor& b, Transpose transpose_b,
                 const Tensor& c, bool accumulate);

// y[..., out] = x[..., in] weight[out, in]^T: leading dimensions of x are rows.
Tensor linear(const Tensor& x, const Tensor& weight);
// Gradients of `linear`: dx = dy weight, dweight = dy^T x.
Tensor linear_backward_input(const Tensor& dy, const Tensor& weight);
Tensor linear_backward_weight(const Tensor& dy, const Tensor& x);

// A weight [out, in] laid out once in the order in which the products read it, for many products with few
// rows: a decoding step then streams it through the cores once. Same results as with the weight itself, to
// the bit.
class PackedWeight {
 public:
  PackedWeight() = default;  // undefined
  // `arithmetic`: f32, f64 or bf16, to which the weight is rounded.
  PackedWeight(const Tensor& weight, DType arithmetic);

  bool defined() const { return words_.defined(); }
  int64_t out() const { return out_; }
  int64_t in() const { return in_; }
  DType arithmetic() const { return arithmetic_; }
  size_t bytes() const { return words_.bytes(); }
  const void* words() const { return words_.raw_data(); }

 private:
  Tensor words_;
  int64_t out_ = 0;
  int64_t in_ = 0;
  DType arithmetic_ = DType::f32;
};
Tensor linear(const Tensor& x, const PackedWeight& weight);
// x times each of the weights, which are packed for the same arithmetic, as one loop of the threads.
std::vector<Tensor> linear_many(const Tensor& x, std::span<const PackedWeight* const> weights);

// What the products use of this machine: "AVX-512, bf16 by AVX512_BF16".
std::string matmul_engine();

}  // namespace dlcm::ops
