// Bugs of one thread's accesses: out of bounds, misaligned, uninitialised, freed.
#include <climits>

#include "corpus.h"

namespace {

constexpr int kSize = 64;

__global__ void fill_kernel(float* data, int size) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < size) data[i] = 1.0f;
}

void oob_global(bool planted) {
  const corpus::DeviceArray<float> data = corpus::zeros(kSize);
  DLCM_LAUNCH(fill_kernel, 3, 32, 0, nullptr, data.get(), planted ? kSize + 1 : kSize);
  corpus::check_all(data, 1.0f);
}

__global__ void shift_kernel(float* out, bool planted) {
  DLCM_SHARED_ARRAY(float, shared, [kSize]);
  shared[threadIdx.x + planted] = 1.0f;
  __syncthreads();
  if (threadIdx.x > 0 || !planted) out[threadIdx.x] = shared[threadIdx.x];
}

void oob_shared(bool planted) {
  const corpus::DeviceArray<float> out(std::vector<float>(kSize, 1.0f));
  DLCM_LAUNCH(shift_kernel, 1, kSize, 0, nullptr, out.get(), planted);
  corpus::check_all(out, 1.0f);
}

__global__ void shift_dynamic_kernel(float* out, bool planted) {
  float* shared = dlcm::dynamic_smem<float>();
  shared[threadIdx.x + planted] = 1.0f;
  __syncthreads();
  if (threadIdx.x > 0 || !planted) out[threadIdx.x] = shared[threadIdx.x];
}

void oob_dynamic_shared(bool planted) {
  const corpus::DeviceArray<float> out(std::vector<float>(kSize, 1.0f));
  DLCM_LAUNCH(shift_dynamic_kernel, 1, kSize, kSize * sizeof(float), nullptr, out.get(), planted);
  corpus::check_all(out, 1.0f);
}

__global__ void vector_load_kernel(float* data, int offset) {
  const float4 value = *reinterpret_cast<const float4*>(data + offset);
  data[0] = value.x + value.w;
}

void misaligned_vector(bool planted) {
  const corpus::DeviceArray<float> data(std::vector<float>(8, 0.5f));
  DLCM_LAUNCH(vector_load_kernel, 1, 1, 0, nullptr, data.get(), planted ? 1 : 4);
  corpus::check_value("data", 0, data.read()[0], 1.0, 0);
}

__global__ void index_kernel(float* data, int row, int columns, bool planted) {
  // Keeps the access inside whatever the product wraps to: only the overflow itself can be noticed.
  const size_t index = planted ? static_cast<size_t>(row * columns) : static_cast<size_t>(row) * columns;
  data[index % kSize] = 1.0f;
}

void index_overflow(bool planted) {
  const corpus::DeviceArray<float> data(std::vector<float>(kSize, 1.0f));
  DLCM_LAUNCH(index_kernel, 1, 1, 0, nullptr, data.get(), INT_MAX / 2, 3, planted);
  corpus::check_all(data, 1.0f);
}

__global__ void read_shared_kernel(float* out, int written) {
  DLCM_SHARED_ARRAY(float, shared, [kSize]);
  if (static_cast<int>(threadIdx.x) < written) shared[threadIdx.x] = 1.0f;
  __syncthreads();
  out[threadIdx.x] = shared[threadIdx.x];
}

void uninitialised_shared(bool planted) {
  const corpus::DeviceArray<float> out(kSize);
  DLCM_LAUNCH(read_shared_kernel, 1, kSize, 0, nullptr, out.get(), planted ? kSize - 1 : kSize);
  corpus::check_all(out, 1.0f);
}

__global__ void add_one_kernel(float* data) {
  data[threadIdx.x] += 1.0f;
}

void uninitialised_global(bool planted) {
  const corpus::DeviceArray<float> data(kSize);
  if (!planted) DLCM_CUDA_CHECK(cudaMemset(data.get(), 0, kSize * sizeof(float)));
  DLCM_LAUNCH(add_one_kernel, 1, kSize, 0, nullptr, data.get());
  corpus::check_all(data, 1.0f);
}

// A pointer inside a struct is not seen at the launch: only the access itself can be noticed.
struct View {
  float* data;
  int size;
};

__global__ void fill_view_kernel(View view) {
  if (static_cast<int>(threadIdx.x) < view.size) view.data[threadIdx.x] = 1.0f;
}

void use_after_free(bool planted) {
  float* data = nullptr;
  DLCM_CUDA_CHECK(cudaMalloc(&data, kSize * sizeof(float)));
  const View view{data, kSize};
  if (planted) DLCM_CUDA_CHECK(cudaFree(data));
  DLCM_LAUNCH(fill_view_kernel, 1, kSize, 0, nullptr, view);
  if (!planted) DLCM_CUDA_CHECK(cudaFree(data));
}

void freed_argument(bool planted) {
  float* data = nullptr;
  DLCM_CUDA_CHECK(cudaMalloc(&data, kSize * sizeof(float)));
  if (planted) DLCM_CUDA_CHECK(cudaFree(data));
  DLCM_LAUNCH(fill_kernel, 1, kSize, 0, nullptr, data, kSize);
  if (!planted) DLCM_CUDA_CHECK(cudaFree(data));
}

}  // namespace

const std::vector<corpus::Case>& corpus::memory_cases() {
  static const std::vector<Case> cases = {{"oob_global", oob_global},
                                          {"oob_shared", oob_shared},
                                          {"oob_dynamic_shared", oob_dynamic_shared},
                                          {"misaligned_vector", misaligned_vector},
                                          {"index_overflow", index_overflow},
                                          {"uninitialised_shared", uninitialised_shared},
                                          {"uninitialised_global", uninitialised_global},
                                          {"use_after_free", use_after_free},
                                          {"freed_argument", freed_argument}};
  return cases;
}
