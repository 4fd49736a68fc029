// The two backends, cpu and cuda, and the choice between them.
//
// A kernel is a function of the same name in the namespaces dlcm::cpu and dlcm::cuda;
//
//   DLCM_DISPATCH(x.device(), rms_norm_forward(x, gain, epsilon, y, rstd));
//
// calls the one for the device. A build without CUDA compiles the cuda call away; a build with CUDA that
// lacks the kernel does not link. An operator that has no CUDA kernel says so with DLCM_DISPATCH_CPU. The
// preprocessor's DLCM_CUDA stands here and nowhere else.
#pragma once

#include <cstddef>

#include "tensor/check.h"
#include "tensor/device.h"

#ifdef DLCM_CUDA
#define DLCM_DISPATCH(device, ...) \
  do {                             \
    if ((device).is_cpu()) {       \
      ::dlcm::cpu::__VA_ARGS__;    \
    } else {                       \
      ::dlcm::cuda::__VA_ARGS__;   \
    }                              \
  } while (false)
#else
#define DLCM_DISPATCH(device, ...) DLCM_DISPATCH_CPU(device, __VA_ARGS__)
#endif

#define DLCM_DISPATCH_CPU(device, ...)                                                \
  do {                                                                                \
    DLCM_CHECK((device).is_cpu(), "no CUDA kernel in this build for ", #__VA_ARGS__); \
    ::dlcm::cpu::__VA_ARGS__;                                                         \
  } while (false)

// Runs the statement with T standing for the C++ type of a floating dtype (f32, or f64 in checks).
#define DLCM_FLOATING(dtype, T, ...)                                                               \
  do {                                                                                             \
    switch (dtype) {                                                                               \
      case ::dlcm::DType::f32: {                                                                   \
        using T = float;                                                                           \
        __VA_ARGS__;                                                                               \
        break;                                                                                     \
      }                                                                                            \
      case ::dlcm::DType::f64: {                                                                   \
        using T = double;                                                                          \
        __VA_ARGS__;                                                                               \
        break;                                                                                     \
      }                                                                                            \
      default:                                                                                     \
        throw ::dlcm::Error(::dlcm::concat(__func__, ": dtype ", dtype, ", expected f32 or f64")); \
    }                                                                                              \
  } while (false)

namespace dlcm {

// Device memory. In a build without CUDA these throw an Error that says so.
bool cuda_available();
void* cuda_allocate(Device device, size_t bytes);
void cuda_free(Device device, void* block);
void cuda_copy(void* to, Device to_device, const void* from, Device from_device, size_t bytes);

}  // namespace dlcm
