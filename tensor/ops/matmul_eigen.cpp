// Matrix products by Eigen: double always, float in a build without oneDNN and for comparison.
#define EIGEN_DONT_PARALLELIZE  // see library_gemm
#include <Eigen/Core>

#include "tensor/ops/matmul.h"

namespace dlcm::cpu {
namespace {

template <class T>
using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T>
using Operand = Eigen::Map<const Matrix<T>, Eigen::Unaligned, Eigen::OuterStride<>>;

template <class T, class Left, class Right>
void multiply(const Left& left, const Right& right, const Gemm<T>& g) {
  Eigen::Map<Matrix<T>, Eigen::Unaligned, Eigen::OuterStride<>> c(g.c, g.m, g.n, Eigen::OuterStride<>(g.ldc));
  if (g.accumulate) {
    c.noalias() += left * right;
  } else {
    c.noalias() = left * right;
  }
}

template <class T>
void multiply_transposed(const Gemm<T>& g) {
  const Operand<T> a(g.a, g.transpose_a ? g.k : g.m, g.transpose_a ? g.m : g.k, Eigen::OuterStride<>(g.lda));
  const Operand<T> b(g.b, g.transpose_b ? g.n : g.k, g.transpose_b ? g.k : g.n, Eigen::OuterStride<>(g.ldb));
  if (g.transpose_a && g.transpose_b) return multiply(a.transpose(), b.transpose(), g);
  if (g.transpose_a) return multiply(a.transpose(), b, g);
  if (g.transpose_b) return multiply(a, b.transpose(), g);
  multiply(a, b, g);
}

}  // namespace

void library_gemm(const Gemm<double>& product) {
  multiply_transposed(product);
}

void eigen_gemm(const Gemm<float>& product) {
  multiply_transposed(product);
}

std::string eigen_name() {
  return concat("Eigen ", EIGEN_WORLD_VERSION, ".", EIGEN_MAJOR_VERSION, ".", EIGEN_MINOR_VERSION);
}

#ifndef DLCM_ONEDNN
void library_gemm(const Gemm<float>& product) {
  eigen_gemm(product);
}
#endif

}  // namespace dlcm::cpu

#ifndef DLCM_ONEDNN
std::string dlcm::ops::matmul_library() {
  return cpu::eigen_name();
}
#endif
