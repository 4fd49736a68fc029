// What the headers of the emulation, and DLCM_LAUNCH, ask of its core. Kernels do not include this by name.
#pragma once

#include <cstdint>
#include <functional>
#include <source_location>
#include <tuple>
#include <type_traits>
#include <utility>

#include "cuda_runtime_api.h"

// Ordinary variables: the scheduler sets them each time it switches to another device thread.
extern uint3 threadIdx;
extern uint3 blockIdx;
extern dim3 blockDim;
extern dim3 gridDim;
inline constexpr int warpSize = 32;

namespace cuda_emulation {

using Location = std::source_location;

// Ends the running kernel with a message that names kernel, block and thread; the launch reports
// cudaErrorLaunchFailure. Outside a kernel there is nobody to report to and it throws std::runtime_error.
[[noreturn]] void fail(const char* format, ...) __attribute__((format(printf, 1, 2)));

// The calling device thread's index in its warp.
unsigned lane();

void barrier(Location location);

enum class WarpOperation : uint8_t { kSync, kShuffle, kBallot, kMma, kLdmatrix };

// Only __syncwarp orders memory between lanes. Shuffles and mma exchange registers and nothing else, so the
// race detector must not be told that they synchronise.
enum class Ordering : uint8_t { kRegistersOnly, kMemory };

// Computes the results of all lanes at once; requests[lane] is what each lane passed, valid for the lanes of
// mask.
using Completion = void (*)(void* const* requests, unsigned mask);

// Every lane of the mask must arrive with the same mask at the same place; the last to arrive runs
// `complete`.
void collective(unsigned mask, WarpOperation operation, void* request, Completion complete, Ordering ordering,
                Location location);

// Shared memory of the running block. A variable is identified by the address of a static object beside its
// declaration: all threads of a block find the same storage, every block gets fresh storage.
void* dynamic_shared_memory();
void* shared_variable(const void* key, size_t bytes, size_t alignment);

template <class T>
T& shared_variable(const void* key) {
  // 16: what a CUDA compiler gives arrays in practice, and what vector accesses through casts rely on.
  return *static_cast<T*>(shared_variable(key, sizeof(T), alignof(T) < 16 ? 16 : alignof(T)));
}

struct Launch {
  const char* name;
  const void* kernel;
  dim3 grid;
  dim3 block;
  size_t shared_bytes;
  cudaStream_t stream;
};

// Checks the configuration as a GPU does (errors go to cudaGetLastError) and queues the grid on the stream.
void launch_grid(const Launch& launch, std::function<void()> thread_body);

// A kernel given a host pointer would work here and crash on a GPU.
void check_pointer_argument(const Launch& launch, int index, const void* pointer);

template <class T>
void check_argument(const Launch& launch, int index, const T& value) {
  if constexpr (std::is_pointer_v<T> && !std::is_function_v<std::remove_pointer_t<T>>) {
    check_pointer_argument(launch, index, static_cast<const void*>(value));
  }
}

// The arguments are converted and copied now, as a real launch does: the grid may run after the caller has
// returned.
template <class... Parameters, class... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes,
            cudaStream_t stream, Arguments&&... arguments) {
  static_assert(sizeof...(Parameters) == sizeof...(Arguments),
                "kernel launched with a wrong number of arguments");
  const Launch description{name, reinterpret_cast<const void*>(kernel), grid, block, shared_bytes, stream};
  std::tuple<Parameters...> values(static_cast<Parameters>(std::forward<Arguments>(arguments))...);
  int index = 0;
  std::apply([&](const auto&... value) { (check_argument(description, index++, value), ...); }, values);
  launch_grid(description, [kernel, values] { std::apply(kernel, values); });
}

}  // namespace cuda_emulation
