// By the emulation, which runs everywhere; by AMX itself in amx_tiles_test.cpp.
#include "tensor/ops/gemm_tiles.h"

#include <doctest/doctest.h>

#include "tests/ops/emulated_tiles.h"
#include "tests/ops/gemm_case.h"

#if defined(__AVX512F__)
#include "tests/ops/gemm_by_kernel.h"

using namespace dlcm;
using namespace dlcm::test;

TEST_CASE("bf16 products in emulated tiles" * doctest::test_suite("numerics")) {
  check_bf16_gemm(gemm_by_kernel<cpu::TileKernel<EmulatedTiles>>);
  CHECK(EmulatedTiles::configured_threads() == 0);
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
