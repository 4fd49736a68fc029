// Bugs between the threads of a block: missing barriers in an RMS norm, missing __syncwarp, races between
// blocks.
#include "corpus.h"

namespace {

constexpr int kThreads = 256;
constexpr unsigned kAllLanes = 0xffffffffu;

__device__ float warp_sum(float value) {
  DLCM_UNROLL
  for (int offset = warpSize / 2; offset > 0; offset /= 2) value += __shfl_xor_sync(kAllLanes, value, offset);
  return value;
}

__device__ float block_sum(float value, bool planted) {
  DLCM_SHARED_ARRAY(float, partial, [kThreads / 32]);
  const int lane = threadIdx.x % warpSize, warp = threadIdx.x / warpSize;
  value = warp_sum(value);
  if (lane == 0) partial[warp] = value;
  if (!planted) __syncthreads();
  if (warp == 0) {
    value = warp_sum(lane < kThreads / warpSize ? partial[lane] : 0.0f);
    if (lane == 0) partial[0] = value;
  }
  __syncthreads();
  return partial[0];
}

__global__ void __launch_bounds__(kThreads)
    rms_norm_kernel(const float* __restrict__ x, float* __restrict__ y, int columns, bool planted) {
  const float* row = x + size_t{blockIdx.x} * columns;
  float sum = 0.0f;
  for (int i = threadIdx.x; i < columns; i += kThreads) sum += row[i] * row[i];
  const float scale = rsqrtf(block_sum(sum, planted) / columns + 1e-5f);
  for (int i = threadIdx.x; i < columns; i += kThreads) y[size_t{blockIdx.x} * columns + i] = row[i] * scale;
}

void missing_syncthreads(bool planted) {
  constexpr int kRows = 3, kColumns = 1030;
  const std::vector<float> x = corpus::noise(kRows * kColumns, 1);
  const corpus::DeviceArray<float> device_x(x), device_y(x.size());
  DLCM_LAUNCH(rms_norm_kernel, kRows, kThreads, 0, nullptr, device_x.get(), device_y.get(), kColumns,
              planted);
  const std::vector<float> y = device_y.read();
  for (int row = 0; row < kRows; ++row) {
    double sum = 0;
    for (int i = 0; i < kColumns; ++i) sum += double{x[row * kColumns + i]} * x[row * kColumns + i];
    const double scale = 1 / std::sqrt(sum / kColumns + 1e-5);
    for (int i = 0; i < kColumns; ++i) {
      const size_t index = row * kColumns + i;
      corpus::check_value("y", index, y[index], x[index] * scale, 1e-5);
    }
  }
}

// Each lane stages a value for its neighbour. The shuffle makes all lanes meet, so the values are right in
// whichever order lanes run; but it orders no memory, and on a GPU the neighbour may read the old value.
__global__ void exchange_kernel(float* out, bool planted) {
  DLCM_SHARED_ARRAY(float, staged, [32]);
  const int lane = threadIdx.x;
  staged[lane] = static_cast<float>(lane);
  const float total = warp_sum(1.0f);
  if (!planted) __syncwarp();
  out[lane] = staged[lane ^ 1] - static_cast<float>(lane ^ 1) + total;
}

void missing_syncwarp(bool planted) {
  const corpus::DeviceArray<float> out(32);
  DLCM_LAUNCH(exchange_kernel, 1, 32, 0, nullptr, out.get(), planted);
  corpus::check_all(out, 32.0f);
}

// Groups of eight lanes exchange values at their own pace: __syncwarp with a mask orders its own lanes and no
// others.
__global__ void exchange_in_groups_kernel(float* out, bool planted) {
  DLCM_SHARED_ARRAY(float, staged, [32]);
  const int lane = threadIdx.x, group = lane / 8;
  const unsigned mask = 0xffu << 8 * group;
  for (int step = 0; step <= group; ++step) {
    staged[lane] = static_cast<float>(lane);
    __syncwarp(mask);
    out[lane] = staged[lane ^ (planted ? 8 : 1)];  // planted: a neighbour of another group
    __syncwarp(mask);
  }
}

void syncwarp_of_another_group(bool planted) {
  const corpus::DeviceArray<float> out(32);
  DLCM_LAUNCH(exchange_in_groups_kernel, 1, 32, 0, nullptr, out.get(), planted);
  const std::vector<float> values = out.read();
  for (int i = 0; i < 32; ++i) corpus::check_value("out", i, values[i], i ^ (planted ? 8 : 1), 0);
}

__global__ void count_blocks_kernel(float* counter, bool planted) {
  if (threadIdx.x != 0) return;
  if (planted) {
    *counter += 1.0f;
  } else {
    atomicAdd(counter, 1.0f);
  }
}

void block_race(bool planted) {
  const corpus::DeviceArray<float> counter(std::vector<float>{0.0f});
  DLCM_LAUNCH(count_blocks_kernel, 8, 32, 0, nullptr, counter.get(), planted);
  corpus::check_all(counter, 8.0f);
}

}  // namespace

const std::vector<corpus::Case>& corpus::reduction_cases() {
  static const std::vector<Case> cases = {{"missing_syncthreads", missing_syncthreads},
                                          {"missing_syncwarp", missing_syncwarp},
                                          {"syncwarp_of_another_group", syncwarp_of_another_group},
                                          {"block_race", block_race}};
  return cases;
}
