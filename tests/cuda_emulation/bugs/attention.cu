// Bugs in the staging of tiles: causal attention with mma.m16n8k16, ldmatrix and double-buffered cp.async.
#include <algorithm>

#include "corpus.h"

namespace {

using namespace dlcm;
using Bf16 = __nv_bfloat16;

enum class Bug { kNone, kMissingTileBarrier, kWaitsOneGroupTooFew, kNeverWaits };

constexpr int kTile = 64;          // rows of queries, and of keys, at a time
constexpr int kDim = 64;           // of a head
constexpr int kStride = kDim + 8;  // of a row in shared memory: keeps ldmatrix free of bank conflicts
constexpr int kThreads = 128;      // four warps of 16 query rows
constexpr int kTileElements = kTile * kStride;
constexpr size_t kSharedBytes =
    sizeof(Bf16) * 5 * kTileElements;  // queries, two buffers of keys, two of values
constexpr unsigned kAllLanes = 0xffffffffu;

// One warp's running softmax: each lane has two rows, `group` and `group + 8` of its warp's sixteen.
struct RowState {
  float output[kDim / 8][4] = {};
  float maximum[2] = {-INFINITY, -INFINITY};
  float sum[2] = {0.0f, 0.0f};
};

__device__ void load_tile(Bf16* tile, const Bf16* matrix, int first_row, int length) {
  for (int i = threadIdx.x; i < kTile * kDim / 8; i += kThreads) {
    const int row = i / (kDim / 8), column = i % (kDim / 8) * 8;
    Bf16* destination = tile + row * kStride + column;
    if (first_row + row < length) {
      cp_async16(destination, matrix + size_t(first_row + row) * kDim + column);
    } else {
      *reinterpret_cast<uint4*>(destination) = make_uint4(0, 0, 0, 0);
    }
  }
}

__device__ void load_queries(unsigned (&queries)[kDim / 16][4], const Bf16* tile) {
  const int lane = threadIdx.x % warpSize, warp_row = threadIdx.x / warpSize * 16;
  DLCM_UNROLL
  for (int k = 0; k < kDim / 16; ++k) {
    ldmatrix_x4<false>(queries[k], tile + (warp_row + lane % 16) * kStride + k * 16 + lane / 16 * 8);
  }
}

__device__ void compute_scores(float (&scores)[kTile / 8][4], const unsigned (&queries)[kDim / 16][4],
                               const Bf16* keys) {
  const int lane = threadIdx.x % warpSize;
  DLCM_UNROLL
  for (int n = 0; n < kTile / 16; ++n) {
    DLCM_UNROLL
    for (int k = 0; k < kDim / 16; ++k) {
      unsigned fragment[4];
      const int row = n * 16 + lane % 8 + lane / 16 * 8, column = k * 16 + lane / 8 % 2 * 8;
      ldmatrix_x4<false>(fragment, keys + row * kStride + column);
      const unsigned left[2] = {fragment[0], fragment[1]}, right[2] = {fragment[2], fragment[3]};
      mma_m16n8k16(scores[2 * n], queries[k], left);
      mma_m16n8k16(scores[2 * n + 1], queries[k], right);
    }
  }
}

// Turns the scores of one of the lane's rows into weights and returns the factor for what was summed so far.
__device__ float softmax_row(float (&scores)[kTile / 8][4], RowState& state, int half, int row,
                             int first_key) {
  const int pair = threadIdx.x % 4 * 2;
  const float scale = 0.125f;
  float maximum = state.maximum[half], sum = 0.0f;
  for (int n = 0; n < kTile / 8; ++n) {
    for (int e = 0; e < 2; ++e) {
      float& score = scores[n][2 * half + e];
      score = first_key + n * 8 + pair + e <= row ? score * scale : -INFINITY;
      maximum = fmaxf(maximum, score);
    }
  }
  for (int offset = 1; offset <= 2; offset *= 2)
    maximum = fmaxf(maximum, __shfl_xor_sync(kAllLanes, maximum, offset));
  for (int n = 0; n < kTile / 8; ++n) {
    for (int e = 0; e < 2; ++e) sum += scores[n][2 * half + e] = __expf(scores[n][2 * half + e] - maximum);
  }
  for (int offset = 1; offset <= 2; offset *= 2) sum += __shfl_xor_sync(kAllLanes, sum, offset);
  const float correction = __expf(state.maximum[half] - maximum);
  state.maximum[half] = maximum;
  state.sum[half] = state.sum[half] * correction + sum;
  return correction;
}

__device__ void accumulate(RowState& state, const float (&weights)[kTile / 8][4], const Bf16* values) {
  const int lane = threadIdx.x % warpSize;
  DLCM_UNROLL
  for (int k = 0; k < kTile / 16; ++k) {
    const auto& low = weights[2 * k];
    const auto& high = weights[2 * k + 1];
    const unsigned a[4] = {pack_bf16(low[0], low[1]), pack_bf16(low[2], low[3]), pack_bf16(high[0], high[1]),
                           pack_bf16(high[2], high[3])};
    DLCM_UNROLL
    for (int n = 0; n < kDim / 16; ++n) {
      unsigned fragment[4];
      ldmatrix_x4<true>(fragment, values + (k * 16 + lane % 16) * kStride + n * 16 + lane / 16 * 8);
      const unsigned left[2] = {fragment[0], fragment[1]}, right[2] = {fragment[2], fragment[3]};
      mma_m16n8k16(state.output[2 * n], a, left);
      mma_m16n8k16(state.output[2 * n + 1], a, right);
    }
  }
}

__device__ void wait_for_tile(Bug bug) {
  if (bug == Bug::kNeverWaits) return;
  if (bug == Bug::kWaitsOneGroupTooFew) {
    cp_async_wait<2>();
  } else {
    cp_async_wait<1>();
  }
}

__device__ void store_rows(const RowState& state, float* out, int first_row, int length) {
  const int group = threadIdx.x % warpSize / 4, pair = threadIdx.x % 4 * 2;
  for (int half = 0; half < 2; ++half) {
    const int row = first_row + group + 8 * half;
    if (row >= length) continue;
    for (int n = 0; n < kDim / 8; ++n) {
      for (int e = 0; e < 2; ++e) {
        out[size_t(row) * kDim + n * 8 + pair + e] = state.output[n][2 * half + e] / state.sum[half];
      }
    }
  }
}

__global__ void __launch_bounds__(kThreads)
    attention_kernel(const Bf16* __restrict__ q, const Bf16* __restrict__ k, const Bf16* __restrict__ v,
                     float* __restrict__ out, int length, Bug bug) {
  Bf16* query_tile = dynamic_smem<Bf16>();
  Bf16* key_tiles = query_tile + kTileElements;
  Bf16* value_tiles = key_tiles + 2 * kTileElements;
  const int first_query = blockIdx.x * kTile, warp_row = threadIdx.x / warpSize * 16;
  const int tiles = min(first_query + kTile, length + kTile - 1) / kTile;  // causal: none after the queries
  load_tile(query_tile, q, first_query, length);
  load_tile(key_tiles, k, 0, length);
  load_tile(value_tiles, v, 0, length);
  cp_async_commit();

  RowState state;
  unsigned queries[kDim / 16][4];
  for (int tile = 0; tile < tiles; ++tile) {
    const int buffer = tile % 2 * kTileElements, other_buffer = kTileElements - buffer;
    if (tile + 1 < tiles) {
      load_tile(key_tiles + other_buffer, k, (tile + 1) * kTile, length);
      load_tile(value_tiles + other_buffer, v, (tile + 1) * kTile, length);
    }
    cp_async_commit();
    wait_for_tile(bug);
    __syncthreads();
    if (tile == 0) load_queries(queries, query_tile);
    float scores[kTile / 8][4] = {};
    compute_scores(scores, queries, key_tiles + buffer);
    float correction[2];
    for (int half = 0; half < 2; ++half) {
      const int row = first_query + warp_row + threadIdx.x % warpSize / 4 + 8 * half;
      correction[half] = softmax_row(scores, state, half, row, tile * kTile);
    }
    for (auto& part : state.output) {
      for (int e = 0; e < 4; ++e) part[e] *= correction[e / 2];
    }
    accumulate(state, scores, value_tiles + buffer);
    if (bug != Bug::kMissingTileBarrier) __syncthreads();  // this buffer is overwritten next
  }
  if (bug != Bug::kNeverWaits) cp_async_wait<0>();
  store_rows(state, out, first_query + warp_row, length);
}

std::vector<Bf16> to_bf16(const std::vector<float>& values) {
  return {values.begin(), values.end()};
}

void check_attention(const std::vector<Bf16>& q, const std::vector<Bf16>& k, const std::vector<Bf16>& v,
                     const std::vector<float>& out, int length) {
  for (int row = 0; row < length; ++row) {
    std::vector<double> weights(row + 1);
    double sum = 0;
    for (int key = 0; key <= row; ++key) {
      double score = 0;
      for (int i = 0; i < kDim; ++i) score += double(float(q[row * kDim + i])) * float(k[key * kDim + i]);
      sum += weights[key] = std::exp(score / 8);
    }
    for (int i = 0; i < kDim; ++i) {
      double expected = 0;
      for (int key = 0; key <= row; ++key) expected += weights[key] / sum * float(v[key * kDim + i]);
      corpus::check_value("out", row * kDim + i, out[row * kDim + i], expected, 5e-3);
    }
  }
}

void run_attention(Bug bug) {
  constexpr int kLength = 150;  // three tiles, the last one ragged
  const auto q = to_bf16(corpus::noise(kLength * kDim, 1)), k = to_bf16(corpus::noise(kLength * kDim, 2));
  const auto v = to_bf16(corpus::noise(kLength * kDim, 3));
  const corpus::DeviceArray<Bf16> device_q(q), device_k(k), device_v(v);
  const corpus::DeviceArray<float> out(kLength * kDim);
  DLCM_LAUNCH(attention_kernel, (kLength + kTile - 1) / kTile, kThreads, kSharedBytes, nullptr,
              device_q.get(), device_k.get(), device_v.get(), out.get(), kLength, bug);
  check_attention(q, k, v, out.read(), kLength);
}

void missing_tile_barrier(bool planted) {
  run_attention(planted ? Bug::kMissingTileBarrier : Bug::kNone);
}
void cp_async_waits_too_few(bool planted) {
  run_attention(planted ? Bug::kWaitsOneGroupTooFew : Bug::kNone);
}
void cp_async_never_waits(bool planted) {
  run_attention(planted ? Bug::kNeverWaits : Bug::kNone);
}

}  // namespace

const std::vector<corpus::Case>& corpus::attention_cases() {
  static const std::vector<Case> cases = {{"missing_tile_barrier", missing_tile_barrier},
                                          {"cp_async_waits_too_few", cp_async_waits_too_few},
                                          {"cp_async_never_waits", cp_async_never_waits}};
  return cases;
}
