// What CUDA sources use in place of the parts of CUDA that only nvcc understands. This is the one file that
// knows which compiler is running: nvcc, or a C++ compiler with the emulation of tests/cuda_emulation, which
// runs kernels on the CPU under sanitizers. An ordinary C++ compiler with NVIDIA's headers gets
// DLCM_CUDA_CHECK only.
//
// DLCM_LAUNCH(kernel, grid, block, shared_bytes, stream, arguments...) launches and checks. A kernel whose
//   name has commas goes in parentheses: DLCM_LAUNCH((kernel<float, 256>), ...).
// DLCM_SHARED_ARRAY(float, tile, [8][33]) declares a shared array of the block.
// dynamic_smem<T>() is the launch's dynamic shared memory, aligned for any use.
// DLCM_UNROLL stands before a loop.
// DLCM_CUDA_CHECK(call) throws std::runtime_error that names the call and the reason.
//
// Tensor cores and asynchronous copies; all lanes of a warp call the first two together. Registers are laid
// out as the PTX manual says.
// mma_m16n8k16(d, a, b): d[16][8] += a[16][16] b[16][8]; a and b are bfloat16, d is float.
// ldmatrix_x4<transposed>(registers, row): four 8x8 tiles from shared memory; lane l names row l % 8 of tile
//   l / 8.
// pack_bf16(low, high): two floats rounded into one register.
// cp_async16(shared, global): copies 16 bytes; cp_async_commit() closes a group of copies;
//   cp_async_wait<n>() waits until at most n groups are pending.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#ifdef DLCM_CUDA_EMULATION
#include <emulated_tensor_core.h>
#endif

namespace dlcm {

inline void cuda_check(cudaError_t error, const char* call, const char* file, int line) {
  if (error == cudaSuccess) return;
  const std::string reason = std::string(cudaGetErrorString(error)) + " (" + cudaGetErrorName(error) + ")";
  cudaGetLastError();  // it has been reported now; left in place it would be blamed on the next launch
  throw std::runtime_error(std::string(file) + ":" + std::to_string(line) + ": " + call + ": " + reason);
}

}  // namespace dlcm

#define DLCM_CUDA_CHECK(call) ::dlcm::cuda_check((call), #call, __FILE__, __LINE__)

#if defined(DLCM_CUDA_EMULATION)

#define DLCM_LAUNCH(kernel, grid, block, shared_bytes, stream, ...)                                         \
  (::cuda_emulation::launch(#kernel, kernel, grid, block, shared_bytes, stream __VA_OPT__(, ) __VA_ARGS__), \
   ::dlcm::cuda_check(cudaGetLastError(), "launch of " #kernel, __FILE__, __LINE__))
#define DLCM_SHARED_ARRAY(T, name, ...) \
  static char name##_key;               \
  T(&name) __VA_ARGS__ = ::cuda_emulation::shared_variable<T __VA_ARGS__>(&name##_key)
#define DLCM_UNROLL

namespace dlcm {

template <class T>
T* dynamic_smem() {
  return static_cast<T*>(cuda_emulation::dynamic_shared_memory());
}

using cuda_emulation::cp_async16;
using cuda_emulation::cp_async_commit;
using cuda_emulation::cp_async_wait;
using cuda_emulation::ldmatrix_x4;
using cuda_emulation::mma_m16n8k16;

inline unsigned pack_bf16(float low, float high) {
  const unsigned high_bits = __bfloat16_as_ushort(__float2bfloat16_rn(high));
  return __bfloat16_as_ushort(__float2bfloat16_rn(low)) | high_bits << 16;
}

}  // namespace dlcm

#elif defined(__CUDACC__)

#define DLCM_LAUNCH(kernel, grid, block, shared_bytes, stream, ...)                             \
  (::dlcm::launch_kernel(kernel, grid, block, shared_bytes, stream __VA_OPT__(, ) __VA_ARGS__), \
   ::dlcm::cuda_check(cudaGetLastError(), "launch of " #kernel, __FILE__, __LINE__))
#define DLCM_SHARED_ARRAY(T, name, ...) __shared__ T name __VA_ARGS__
#define DLCM_UNROLL _Pragma("unroll")

namespace dlcm {

// Converts the arguments to the kernel's own parameter types, so that nullptr and int literals may be passed.
template <class... Parameters, class... Arguments>
void launch_kernel(void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t shared_bytes,
                   cudaStream_t stream, Arguments&&... arguments) {
  // clang-format off
  kernel<<<grid, block, shared_bytes, stream>>>(static_cast<Parameters>(std::forward<Arguments>(arguments))...);
  // clang-format on
}

// One untyped symbol for all kernels: declared anew for each T it would clash with itself.
template <class T>
__device__ __forceinline__ T* dynamic_smem() {
  extern __shared__ __align__(1024) unsigned char dlcm_dynamic_smem[];
  return reinterpret_cast<T*>(dlcm_dynamic_smem);
}

__device__ __forceinline__ void mma_m16n8k16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

template <bool kTransposed>
__device__ __forceinline__ void ldmatrix_x4(unsigned (&registers)[4], const __nv_bfloat16* row) {
  const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(row));
  if constexpr (kTransposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];\n"
                 : "=r"(registers[0]), "=r"(registers[1]), "=r"(registers[2]), "=r"(registers[3])
                 : "r"(address)
                 : "memory");
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\n"
                 : "=r"(registers[0]), "=r"(registers[1]), "=r"(registers[2]), "=r"(registers[3])
                 : "r"(address)
                 : "memory");
  }
}

__device__ __forceinline__ unsigned pack_bf16(float low, float high) {
  const unsigned high_bits = __bfloat16_as_ushort(__float2bfloat16_rn(high));
  return __bfloat16_as_ushort(__float2bfloat16_rn(low)) | high_bits << 16;
}

__device__ __forceinline__ void cp_async16(void* destination, const void* source) {
  const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(destination));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;\n" ::"r"(address), "l"(source) : "memory");
}

__device__ __forceinline__ void cp_async_commit() {
  asm volatile("cp.async.commit_group;\n" ::: "memory");
}

template <int kPendingGroups>
__device__ __forceinline__ void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;\n" ::"n"(kPendingGroups) : "memory");
}

}  // namespace dlcm

#endif
