#include "tensor/ops/amx_tiles.h"

#include <string>

#include <doctest/doctest.h>

#include "tests/ops/gemm_case.h"

#if defined(__AVX512F__)
#include "tests/ops/gemm_by_kernel.h"

using namespace dlcm;
using namespace dlcm::test;

TEST_CASE("bf16 products by AMX") {
  if (!cpu::amx_granted()) {
    MESSAGE("left out: this machine has no AMX_BF16, or its system does not grant it");
    return;
  }
  CHECK(std::string(cpu::gemm_engine()) == "AVX-512, bf16 by AMX");
  check_bf16_gemm(gemm_by_kernel<cpu::TileKernel<cpu::AmxTiles>>);
  // Which gemm takes where the system refuses.
  check_bf16_gemm(gemm_by_kernel<cpu::VectorKernel<cpu::PairElement>>);
}

#endif

TEST_CASE("AMX is used where it is granted") {
  const bool named = std::string(dlcm::cpu::gemm_engine()).ends_with("AMX");
  CHECK(named == (dlcm::cpu::kTilesFit && dlcm::cpu::amx_granted()));
}
