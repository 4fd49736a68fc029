// Stands in for NVIDIA's <cuda_runtime.h> where CUDA sources are compiled as plain C++20 and run on the CPU.
// tensor/portable.cuh recognises the emulation by this macro; no other file of the project asks for it.
#pragma once

#define DLCM_CUDA_EMULATION 1

#define __global__
#define __device__
#define __host__
#define __constant__
#define __grid_constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(bytes) alignas(bytes)

// Two qualifiers are missing on purpose. __shared__: a static variable in its place would lose the redzones,
// the NaN fill and the race detection, so a kernel that says __shared__ instead of DLCM_SHARED_ARRAY must not
// compile.
// __noinline__: libstdc++ uses the word as an attribute and breaks if it is a macro.

#include "cuda_emulation.h"
#include "cuda_runtime_api.h"
#include "device_functions.h"
#include "vector_types.h"
#include "warp_functions.h"
