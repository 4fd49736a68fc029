#include "tensor/ops/gemm.h"

#include <type_traits>

#include "tensor/ops/amx_tiles.h"
#include "tensor/ops/gemm_driver.h"
#include "tensor/ops/gemm_tiles.h"

namespace dlcm::cpu {
namespace {

// Calls run.operator()<E, S>() for the elements of the arithmetic and the dtype of the operand.
template <class Run>
void with_elements(DType arithmetic, DType stored, const Run& run) {
  if (arithmetic == DType::f64) return run.template operator()<PlainElement<double>, double>();
  if (arithmetic == DType::f32) return run.template operator()<PlainElement<float>, float>();
  if (stored == DType::bf16) return run.template operator()<PairElement, Bf16>();
  run.template operator()<PairElement, float>();
}

// Calls run.operator()<K>() with the kernel of E: AMX where the machine has it, for any number of rows, as a
// row's bits must not depend on it.
template <class E, class Run>
void with_kernel(const Run& run) {
  if constexpr (std::is_same_v<E, PairElement> && kTilesFit) {
    if (amx_granted()) return run.template operator()<TileKernel<AmxTiles>>();
  }
  run.template operator()<VectorKernel<E>>();
}

DType arithmetic_of(const Gemm& g) {
  return g.a.dtype == DType::bf16 ? DType::bf16 : g.b.dtype;
}

}  // namespace

void gemm(const Gemm& g) {
  if (g.b.order == GemmOrder::packed) return gemm_many({&g, 1});
  with_elements(arithmetic_of(g), g.a.dtype, [&]<class E, class A>() {
    with_elements(arithmetic_of(g), g.b.dtype, [&]<class Same, class B>() {
      if constexpr (std::is_same_v<E, Same>) {
        with_kernel<E>([&]<class K>() { gemm_by<K, A, B>(g); });
      }
    });
  });
}

void gemm_many(std::span<const Gemm> products) {
  const Gemm& first = products.front();
  with_elements(arithmetic_of(first), first.a.dtype, [&]<class E, class A>() {
    with_kernel<E>([&]<class K>() { gemm_packed_by<K, A>(products); });
  });
}

int64_t packed_gemm_bytes(int64_t n, int64_t k, DType arithmetic) {
  int64_t bytes = 0;
  with_elements(arithmetic, arithmetic, [&]<class E, class S>() {
    bytes = bytes_of<E>(PackedLayout<E>{n, k}.size());
  });
  return bytes;
}

void pack_gemm_operand(const GemmOperand& operand, int64_t n, int64_t k, DType arithmetic, void* packed) {
  with_elements(arithmetic, operand.dtype, [&]<class E, class S>() {
    const PackedLayout<E> layout = {n, k};
    pack_blocks<E, S>(operand, layout, 0, layout.blocks(), static_cast<typename E::Word*>(packed));
  });
}

const char* gemm_engine() {
  if (kTilesFit && amx_granted()) return "AVX-512, bf16 by AMX";
#if defined(__AVX512BF16__)
  return "AVX-512, bf16 by AVX512_BF16";
#elif defined(__AVX512F__)
  return "AVX-512, bf16 in float32";
#elif defined(__AVX__)
  return "AVX, bf16 in float32";
#else
  return "128-bit vectors, bf16 in float32";
#endif
}

}  // namespace dlcm::cpu
