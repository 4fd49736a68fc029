// The instructions of AMX, for gemm_tiles.h. Internal to tensor/ops/gemm.cpp and its tests.
//
// Assembly, not intrinsics: GCC's take tiles by literals alone, and do not say that they read memory. So this
// compiles whatever the machine at hand has; amx_granted() says whether it may run.
#pragma once

#include "tensor/ops/gemm_tiles.h"

namespace dlcm::cpu {

// Whether the CPU multiplies bf16 in tiles and the system lets this process use them, for which the first
// call asks.
bool amx_granted();

struct AmxTiles {
  static void configure(const TileConfig& config) { asm volatile("ldtilecfg %0" : : "m"(config)); }
  static void release() { asm volatile("tilerelease"); }

  template <int kTile>
  static void zero() {
    asm volatile("tilezero %%tmm%c0" : : "i"(kTile));
  }
  template <int kTile>
  static void load(const void* from, int64_t row_bytes) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(row_bytes), "i"(kTile) : "memory");
  }
  template <int kTile>
  static void store(void* to, int64_t row_bytes) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(row_bytes), "i"(kTile) : "memory");
  }
  template <int kSum, int kLeft, int kRight>
  static void multiply_add() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSum), "i"(kLeft), "i"(kRight));
  }
};

}  // namespace dlcm::cpu
