// gemm_tiles.h by the emulation, and by AMX itself where the machine has it.
#include "tensor/ops/gemm_tiles.h"

#include <doctest/doctest.h>

#include "tensor/ops/amx_tiles.h"
#include "tests/ops/emulated_tiles.h"
#include "tests/ops/gemm_case.h"

#if defined(__AVX512F__)
#include "tensor/ops/gemm_driver.h"

using namespace dlcm;
using namespace dlcm::test;

namespace {

template <class K>
void multiply(const cpu::Gemm& g) {
  const bool wide_a = g.a.dtype == DType::f32, wide_b = g.b.dtype == DType::f32;
  if (wide_a) return cpu::gemm_by<K, float, Bf16>(g);
  wide_b ? cpu::gemm_by<K, Bf16, float>(g) : cpu::gemm_by<K, Bf16, Bf16>(g);
}

// The first `m` rows of a [40, 1200] by b [70, 1200] transposed.
Tensor first_rows(int64_t m, const Tensor& a, const Tensor& b, Multiply product) {
  const Tensor c = Tensor::empty({m, 70});
  const cpu::GemmOperand left = {a.raw_data(), DType::bf16, 1200, cpu::GemmOrder::along_k};
  const cpu::GemmOperand right = {b.raw_data(), DType::bf16, 1200, cpu::GemmOrder::along_k};
  product({m, 70, 1200, left, right, c.raw_data(), 70, false});
  return c;
}

// Any number of rows, each with the same bits.
void check_rows(Multiply product) {
  const Tensor a = random_tensor({40, 1200}, DType::f32, 1).to(DType::bf16);
  const Tensor b = random_tensor({70, 1200}, DType::f32, 2).to(DType::bf16);
  const Tensor all = first_rows(40, a, b, product);
  for (int64_t m = 1; m < 40; ++m) {
    CAPTURE(m);
    check_gemm({m, 33, 40, DType::f32, DType::bf16, false, true, m % 2 == 0}, product);
    CHECK(bit_equal(first_rows(m, a, b, product), all.slice(0, m)));
  }
}

void check_bf16_products(Multiply product) {
  check_gemm_forms(DType::bf16, DType::bf16, product);
  check_gemm_forms(DType::f32, DType::bf16, product);
  check_gemm_forms(DType::bf16, DType::f32, product);
  check_exact_gemm(product);
  check_rows(product);
}

}  // namespace

TEST_CASE("bf16 products in emulated tiles") {
  check_bf16_products(multiply<cpu::TileKernel<EmulatedTiles>>);
  CHECK(EmulatedTiles::configured_threads() == 0);
}

TEST_CASE("bf16 products by AMX") {
  if (!cpu::amx_granted()) {
    MESSAGE("left out: this machine has no AMX_BF16, or its system does not grant it");
    return;
  }
  CHECK(std::string(cpu::gemm_engine()) == "AVX-512, bf16 by AMX");
  check_bf16_products(multiply<cpu::TileKernel<cpu::AmxTiles>>);
  // Which gemm takes where the system refuses.
  check_bf16_products(multiply<cpu::VectorKernel<cpu::PairElement>>);
}

#endif

TEST_CASE("emulated tiles fault as AMX does") {
  using T = dlcm::test::EmulatedTiles;
  using dlcm::Error;
  float matrix[16][16] = {};
  CHECK_THROWS_AS(T::load<0>(matrix, 64), Error);
  dlcm::cpu::TileConfig config;
  for (const int tile : {0, 1, 2}) {
    config.rows[tile] = 16;
    config.row_bytes[tile] = 64;
  }
  SUBCASE("instructions") {
    config.rows[1] = 8;
    T::configure(config);
    CHECK(T::configured_threads() == 1);
    CHECK_THROWS_AS(T::zero<3>(), Error);
    CHECK_THROWS_AS((T::multiply_add<0, 1, 2>()), Error);  // 16 rows from 8
    CHECK_THROWS_AS((T::multiply_add<0, 2, 1>()), Error);  // 16 words of k by 8
    T::release();
    CHECK_THROWS_AS(T::zero<0>(), Error);
  }
  SUBCASE("palette") {
    config.palette = 2;
    CHECK_THROWS_AS(T::configure(config), Error);
  }
  SUBCASE("reserved") {
    config.rows[8] = 1;
    CHECK_THROWS_AS(T::configure(config), Error);
  }
  SUBCASE("too large") {
    config.rows[0] = 17;
    CHECK_THROWS_AS(T::configure(config), Error);
  }
  SUBCASE("rows without bytes") {
    config.row_bytes[0] = 0;
    CHECK_THROWS_AS(T::configure(config), Error);
  }
  CHECK(T::configured_threads() == 0);
}
