// What a warp computes together; the kernels' side is in emulated_tensor_core.h.
#include <bit>

#include "emulated_tensor_core.h"

// The fragments are the lanes' own registers, nothing a kernel could get wrong: checking each access would
// make the tensor cores the slowest part of every test.
#define DLCM_UNCHECKED __attribute__((no_sanitize("address", "undefined")))

namespace cuda_emulation {
namespace {

// Element `half` (0 low, 1 high) of a register that packs two bfloat16 values.
DLCM_UNCHECKED inline float unpack_bf16(unsigned packed, int half) {
  const uint32_t bits = packed >> (16 * half) << 16;
  return std::bit_cast<float>(bits);
}

}  // namespace

DLCM_UNCHECKED void complete_mma(void* const* requests, unsigned) {
  float a[16][16], b[16][8], d[16][8];
  for (int lane = 0; lane < warpSize; ++lane) {
    const auto* request = static_cast<const MmaRequest*>(requests[lane]);
    const int group = lane >> 2, pair = (lane & 3) * 2;
    for (int half = 0; half < 2; ++half) {
      for (int i = 0; i < 4; ++i) {
        a[group + 8 * (i & 1)][pair + half + 8 * (i >> 1)] = unpack_bf16(request->a[i], half);
      }
      for (int i = 0; i < 2; ++i) b[pair + half + 8 * i][group] = unpack_bf16(request->b[i], half);
    }
    for (int i = 0; i < 4; ++i) d[group + 8 * (i >> 1)][pair + (i & 1)] = request->d[i];
  }
  for (int row = 0; row < 16; ++row) {
    for (int k = 0; k < 16; ++k) {
      for (int column = 0; column < 8; ++column) d[row][column] += a[row][k] * b[k][column];
    }
  }
  for (int lane = 0; lane < warpSize; ++lane) {
    const auto* request = static_cast<const MmaRequest*>(requests[lane]);
    const int group = lane >> 2, pair = (lane & 3) * 2;
    for (int i = 0; i < 4; ++i) request->d[i] = d[group + 8 * (i >> 1)][pair + (i & 1)];
  }
}

DLCM_UNCHECKED void complete_ldmatrix(void* const* requests, unsigned) {
  for (int to = 0; to < warpSize; ++to) {
    for (int from = 0; from < warpSize; ++from) {
      static_cast<LdmatrixRequest*>(requests[to])->rows[from] =
          static_cast<LdmatrixRequest*>(requests[from])->row;
    }
  }
}

}  // namespace cuda_emulation
