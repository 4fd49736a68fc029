// Device memory by the CUDA runtime; no_cuda.cpp stands in for this file in a build without CUDA.
#include "tensor/dispatch.h"
#include "tensor/portable.cuh"

namespace dlcm {
namespace {

void select(Device device) {
  DLCM_CUDA_CHECK(cudaSetDevice(device.index));
}

}  // namespace

bool cuda_available() {
  int count = 0;  // not written by a runtime without a driver
  return cudaGetDeviceCount(&count) == cudaSuccess && count > 0;
}

void* cuda_allocate(Device device, size_t bytes) {
  select(device);
  void* block = nullptr;
  const cudaError_t error = cudaMalloc(&block, bytes);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // reported by the allocator, which knows more
    return nullptr;
  }
  DLCM_CUDA_CHECK(error);
  return block;
}

void cuda_free(Device device, void* block) {
  if (cudaSetDevice(device.index) == cudaSuccess) cudaFree(block);  // called from destructors: must not throw
}

void cuda_copy(void* to, Device to_device, const void* from, Device from_device, size_t bytes) {
  select(to_device.is_cpu() ? from_device : to_device);
  const cudaMemcpyKind kind = to_device.is_cpu()     ? cudaMemcpyDeviceToHost
                              : from_device.is_cpu() ? cudaMemcpyHostToDevice
                                                     : cudaMemcpyDeviceToDevice;
  DLCM_CUDA_CHECK(cudaMemcpy(to, from, bytes, kind));
}

}  // namespace dlcm
