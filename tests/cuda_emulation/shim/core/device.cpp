#include "device.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include "block.h"
#include "memory.h"
#include "stream.h"

namespace cuda_emulation {
namespace {

cudaError_t last_error = cudaSuccess;
// The explanation belongs to the latest error that had one.
cudaError_t explained_error = cudaSuccess;
std::string& explanation_text = *new std::string;  // outlives the program's static objects
bool failed = false;

}  // namespace

void record_failure(const std::string& message) {
  if (failed) return;
  failed = true;
  explained_error = last_error = cudaErrorLaunchFailure;
  explanation_text = "cuda emulation: " + message;
}

bool context_failed() {
  return failed;
}

cudaError_t context_status() {
  return failed ? cudaErrorLaunchFailure : cudaSuccess;
}

cudaError_t set_error(cudaError_t error, const std::string& explanation) {
  if (failed) return cudaErrorLaunchFailure;
  if (error == cudaSuccess) return error;
  last_error = explained_error = error;
  explanation_text = explanation;
  return error;
}

std::string to_string(const uint3& index) {
  return "(" + std::to_string(index.x) + "," + std::to_string(index.y) + "," + std::to_string(index.z) + ")";
}

void fail(const char* format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (!current) throw std::runtime_error(std::string("cuda emulation: ") + text);
  DeviceThread& thread = *current;
  record_failure("kernel " + std::string(grid.name) + " block " + to_string(blockIdx) + " thread " +
                 to_string(thread.thread_index) + ": " + text);
  // Nothing may be thrown through the frames of a kernel: leave them, and report to the host.
  current = nullptr;
  thread.fiber.abandon();
}

}  // namespace cuda_emulation

using namespace cuda_emulation;

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "cudaSuccess";
    case cudaErrorInvalidValue:
      return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation:
      return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidConfiguration:
      return "cudaErrorInvalidConfiguration";
    case cudaErrorInvalidDevice:
      return "cudaErrorInvalidDevice";
    case cudaErrorLaunchFailure:
      return "cudaErrorLaunchFailure";
  }
  return "unrecognized error code";
}

const char* cudaGetErrorString(cudaError_t error) {
  if (error != cudaSuccess && error == explained_error && !explanation_text.empty())
    return explanation_text.c_str();
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorInvalidConfiguration:
      return "invalid configuration argument";
    case cudaErrorInvalidDevice:
      return "invalid device ordinal";
    case cudaErrorLaunchFailure:
      return "unspecified launch failure";
  }
  return "unrecognized error code";
}

cudaError_t cudaGetLastError() {
  const cudaError_t error = cudaPeekAtLastError();
  last_error = cudaSuccess;
  return error;
}

cudaError_t cudaPeekAtLastError() {
  return failed ? cudaErrorLaunchFailure : last_error;
}

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  return set_error(device == 0 ? cudaSuccess : cudaErrorInvalidDevice);
}

cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return context_status();
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device != 0) return set_error(cudaErrorInvalidDevice);
  *properties = {};
  std::strcpy(properties->name, "CPU emulation of CUDA");
  properties->totalGlobalMem = kArenaBytes;
  properties->sharedMemPerBlock = kDefaultSharedBytes;
  properties->sharedMemPerBlockOptin = kMaxSharedBytes;
  properties->warpSize = warpSize;
  properties->maxThreadsPerBlock = kMaxThreadsPerBlock;
  properties->major = 9;
  properties->minor = 0;
  // Few, so that kernels that size their grid by it stay cheap and still have several blocks.
  properties->multiProcessorCount = 4;
  return context_status();
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  cudaDeviceProp properties;
  const cudaError_t error = cudaGetDeviceProperties(&properties, device);
  if (error != cudaSuccess) return error;
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount:
      *value = properties.multiProcessorCount;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
      *value = properties.major;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      *value = properties.minor;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = static_cast<int>(properties.sharedMemPerBlockOptin);
      return cudaSuccess;
  }
  return set_error(cudaErrorInvalidValue);
}

cudaError_t cudaDeviceSynchronize() {
  finish_all_streams();
  return context_status();
}
