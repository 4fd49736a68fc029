#include "tensor/ops/rms_norm.h"
#include "tensor/portable.cuh"

namespace dlcm::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarp = 32;
// Rows whose contribution to dgain one block sums before the partial sums are added in order.
constexpr int kRowsPerPartial = 64;

// Sum over the block, the same in every thread; the order of additions is fixed.
__device__ float block_sum(float value) {
  DLCM_SHARED_ARRAY(float, warp_sums, [kThreads / kWarp]);
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  DLCM_UNROLL
  for (int offset = kWarp / 2; offset > 0; offset /= 2) value += __shfl_xor_sync(0xffffffffu, value, offset);
  if (lane == 0) warp_sums[warp] = value;
  __syncthreads();
  float sum = 0.0f;
  DLCM_UNROLL
  for (int i = 0; i < kThreads / kWarp; ++i) sum += warp_sums[i];
  __syncthreads();  // the next call writes warp_sums again
  return sum;
}

// One block per row.
__global__ void forward_kernel(const float* x, const float* gain, int d, float epsilon, float* y,
                               float* rstd) {
  const size_t row = blockIdx.x;
  const float* in = x + row * d;
  float* out = y + row * d;
  float squares = 0.0f;
  for (int i = static_cast<int>(threadIdx.x); i < d; i += kThreads) squares += in[i] * in[i];
  const float scale = 1.0f / sqrtf(block_sum(squares) / static_cast<float>(d) + epsilon);
  for (int i = static_cast<int>(threadIdx.x); i < d; i += kThreads) out[i] = in[i] * scale * gain[i];
  if (threadIdx.x == 0) rstd[row] = scale;
}

// One block per row.
__global__ void input_gradient_kernel(const float* dy, const float* x, const float* gain, const float* rstd,
                                      int d, float* dx) {
  const size_t row = blockIdx.x;
  const float* gradient = dy + row * d;
  const float* in = x + row * d;
  float dot = 0.0f;
  for (int i = static_cast<int>(threadIdx.x); i < d; i += kThreads) dot += gain[i] * gradient[i] * in[i];
  const float scale = rstd[row];
  const float correction = block_sum(dot) * scale * scale / static_cast<float>(d);
  for (int i = static_cast<int>(threadIdx.x); i < d; i += kThreads) {
    dx[row * d + i] = scale * (gain[i] * gradient[i] - in[i] * correction);
  }
}

// One thread per column and kRowsPerPartial rows: neighbouring threads read neighbouring elements.
__global__ void gain_partial_kernel(const float* dy, const float* x, const float* rstd, int rows, int d,
                                    float* partial) {
  const int column = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  if (column >= d) return;
  const int begin = static_cast<int>(blockIdx.y) * kRowsPerPartial;
  const int end = min(rows, begin + kRowsPerPartial);
  float sum = 0.0f;
  for (int row = begin; row < end; ++row) {
    const size_t at = static_cast<size_t>(row) * d + column;
    sum += dy[at] * x[at] * rstd[row];
  }
  partial[static_cast<size_t>(blockIdx.y) * d + column] = sum;
}

__global__ void gain_sum_kernel(const float* partial, int parts, int d, float* dgain) {
  const int column = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  if (column >= d) return;
  float sum = 0.0f;
  for (int part = 0; part < parts; ++part) sum += partial[static_cast<size_t>(part) * d + column];
  dgain[column] = sum;
}

int blocks_for(int64_t count, int64_t per_block) {
  return static_cast<int>((count + per_block - 1) / per_block);
}

void check_sizes(int64_t rows, int64_t d) {
  DLCM_CHECK(rows < (int64_t{1} << 31) && d < (int64_t{1} << 31), "rms_norm on CUDA: ", rows, " rows of ", d,
             " elements, more than a grid has");
}

}  // namespace

void rms_norm_forward(const Tensor& x, const Tensor& gain, double epsilon, const Tensor& y,
                      const Tensor& rstd) {
  const int64_t rows = rstd.numel();
  check_sizes(rows, gain.numel());
  DLCM_CHECK(y.dtype() == DType::f32, "rms_norm on CUDA: output of ", y.dtype(), ", expected f32");
  if (rows == 0) return;
  DLCM_LAUNCH(forward_kernel, dim3(static_cast<unsigned>(rows)), dim3(kThreads), 0, nullptr, x.data<float>(),
              gain.data<float>(), static_cast<int>(gain.numel()), static_cast<float>(epsilon),
              y.data<float>(), rstd.data<float>());
}

void rms_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& gain, const Tensor& rstd,
                       const Tensor& dx, const Tensor& dgain) {
  const int64_t rows = rstd.numel();
  check_sizes(rows, gain.numel());
  const int d = static_cast<int>(gain.numel());
  const int parts = blocks_for(rows, kRowsPerPartial);
  const unsigned columns = static_cast<unsigned>(blocks_for(d, kThreads));
  const Tensor partial = Tensor::empty({parts, d}, DType::f32, x.device());
  if (rows > 0) {
    DLCM_LAUNCH(input_gradient_kernel, dim3(static_cast<unsigned>(rows)), dim3(kThreads), 0, nullptr,
                dy.data<float>(), x.data<float>(), gain.data<float>(), rstd.data<float>(), d,
                dx.data<float>());
    DLCM_LAUNCH(gain_partial_kernel, dim3(columns, static_cast<unsigned>(parts)), dim3(kThreads), 0, nullptr,
                dy.data<float>(), x.data<float>(), rstd.data<float>(), static_cast<int>(rows), d,
                partial.data<float>());
  }
  DLCM_LAUNCH(gain_sum_kernel, dim3(columns), dim3(kThreads), 0, nullptr, partial.data<float>(), parts, d,
              dgain.data<float>());
}

}  // namespace dlcm::cuda
