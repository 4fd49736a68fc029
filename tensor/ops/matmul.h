// Matrix product: C = op(A) op(B), row-major, in the dtype of the operands (f32 or f64) with accumulation in
// it.
//
// One entry, three engines: oneDNN where the build found it, Eigen otherwise (and for f64), and for at most
// kSmallRows rows of A against B transposed (decoding) a kernel of our own that streams B once. The
// arithmetic of a row of that kernel does not depend on the number of rows, so the text of a prompt does not
// depend on its batch.
#pragma once

#include "tensor/tensor.h"

namespace dlcm::ops {

enum class Transpose { no, yes };

// Up to this many rows `linear` uses the row kernel.
inline constexpr int64_t kSmallRows = 32;

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

// Name and version of the library that multiplies float32 matrices: "oneDNN 2.6.3", "Eigen 3.4.0".
std::string matmul_library();

}  // namespace dlcm::ops

namespace dlcm::cpu {

// Plain operands of one product, leading dimensions included, as the engines take them.
template <class T>
struct Gemm {
  bool transpose_a, transpose_b;
  int64_t m, n, k;
  const T* a;
  int64_t lda;
  const T* b;
  int64_t ldb;
  T* c;
  int64_t ldc;
  bool accumulate;
};

// In the calling thread: `matmul` shares the work in tiles that depend on the shape alone, so that the bits
// do not depend on the number of threads.
void library_gemm(const Gemm<float>& product);
void library_gemm(const Gemm<double>& product);
// By Eigen in every build, in the calling thread.
void eigen_gemm(const Gemm<float>& product);
// The same, shared among the threads as `matmul` does: what `benchmark matmul` compares it with.
void tiled_eigen_gemm(const Gemm<float>& product);
// "Eigen 3.4.0"
std::string eigen_name();
// c[m, n] = a[m, k] b[n, k]^T with a fixed order of summation for each element.
void row_gemm(const Gemm<float>& product);
void row_gemm(const Gemm<double>& product);

}  // namespace dlcm::cpu
