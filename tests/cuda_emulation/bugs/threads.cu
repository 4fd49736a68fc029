// Threads that do not meet where they should: barriers, masks and shuffles under divergence.
#include "corpus.h"

namespace {

__global__ void divergent_barrier_kernel(float* out, bool planted) {
  if (planted && threadIdx.x >= 32) {
    out[threadIdx.x] = 1.0f;
    __syncthreads();
  } else {
    out[threadIdx.x] = 1.0f;
    __syncthreads();
  }
}

void divergent_barrier(bool planted) {
  const corpus::DeviceArray<float> out(64);
  DLCM_LAUNCH(divergent_barrier_kernel, 1, 64, 0, nullptr, out.get(), planted);
  corpus::check_all(out, 1.0f);
}

__global__ void early_return_kernel(float* out, int size, bool planted) {
  const bool active = static_cast<int>(threadIdx.x) < size;
  if (planted && !active) return;
  __syncthreads();
  if (active) out[threadIdx.x] = 1.0f;
}

void early_return(bool planted) {
  const corpus::DeviceArray<float> out(50);
  DLCM_LAUNCH(early_return_kernel, 1, 64, 0, nullptr, out.get(), 50, planted);
  corpus::check_all(out, 1.0f);
}

__global__ void half_warp_sum_kernel(float* out, unsigned mask, int lane_mask) {
  if (threadIdx.x < 16) out[threadIdx.x] = 0.5f + __shfl_xor_sync(mask, 0.5f, lane_mask);
}

// Names lanes that do not come.
void bad_mask(bool planted) {
  const corpus::DeviceArray<float> out(16);
  DLCM_LAUNCH(half_warp_sum_kernel, 1, 32, 0, nullptr, out.get(), planted ? 0xffffffffu : 0x0000ffffu, 1);
  corpus::check_all(out, 1.0f);
}

void shuffle_outside_mask(bool planted) {
  const corpus::DeviceArray<float> out(16);
  DLCM_LAUNCH(half_warp_sum_kernel, 1, 32, 0, nullptr, out.get(), 0x0000ffffu, planted ? 16 : 1);
  corpus::check_all(out, 1.0f);
}

}  // namespace

const std::vector<corpus::Case>& corpus::thread_cases() {
  static const std::vector<Case> cases = {{"divergent_barrier", divergent_barrier},
                                          {"early_return", early_return},
                                          {"bad_mask", bad_mask},
                                          {"shuffle_outside_mask", shuffle_outside_mask}};
  return cases;
}
