// Matrix products in the calling machine's vector units: what tensor/ops/matmul.cpp shares its work with.
// Internal to tensor/ops.
//
// C = op(A) op(B), blocked as in Goto & van de Geijn, "Anatomy of High-Performance Matrix Multiplication"
// (ACM TOMS 34, 2008): blocks of A and B are copied ("packed") into the order in which the kernel reads them,
// rounded to bf16 on the way where the arithmetic asks for it, and the kernel keeps a block of C in
// registers.
//
// An element of C is the sum over blocks of kBlockWords words of k, each summed from 0 in the order of k
// (bf16: in the order of pairs, by AMX 16 pairs at a time), then added in order. That depends on neither m
// nor n nor the number of threads, so a row's bits are the same in any batch.
#pragma once

#include <span>

#include "tensor/dtype.h"

namespace dlcm::cpu {

// op(A) [m, k] and op(B) [k, n] alike, seen as vectors of the inner index. i is a row of op(A) or a column of
// op(B).
enum class GemmOrder {
  along_k,   // element (i, k) is data[i stride + k]
  across_k,  // element (i, k) is data[k stride + i]
  packed     // B alone: what pack_gemm_operand made
};
struct GemmOperand {
  const void* data;
  DType dtype;
  int64_t stride;
  GemmOrder order;
};

// dtypes: a, b and c f64; or c f32 and a, b each f32 or bf16. If one of a and b is bf16 the other is rounded
// to it and products are summed in float32.
struct Gemm {
  int64_t m, n, k;
  GemmOperand a, b;
  void* c;  // row-major
  int64_t c_stride;
  bool accumulate;
};

// Shared among the threads; m, n, k > 0.
void gemm(const Gemm& product);
// Products of one A with several Bs, all packed: m, k and arithmetic are the same. Their tasks make up one
// loop, so that no thread waits between short products.
void gemm_many(std::span<const Gemm> products);

// B once and for all: n columns, k rows, `operand` in either order, to `packed` of packed_gemm_bytes.
// `arithmetic` is what it will be multiplied in: f32, f64, or bf16, to which it is rounded.
int64_t packed_gemm_bytes(int64_t n, int64_t k, DType arithmetic);
void pack_gemm_operand(const GemmOperand& operand, int64_t n, int64_t k, DType arithmetic, void* packed);

// "AVX-512, bf16 by AVX512_BF16", or "AVX-512, bf16 by AMX": the vectors that multiply on this machine.
const char* gemm_engine();

}  // namespace dlcm::cpu
