// Launches: the checks a GPU makes, then block after block.
#include <chrono>
#include <cstdio>
#include <map>

#include "block.h"
#include "device.h"
#include "memory.h"
#include "options.h"
#include "stream.h"

namespace cuda_emulation {
namespace {

// Limits set by cudaFuncSetAttribute.
std::map<const void*, size_t>& shared_limits() {
  static auto* const limits = new std::map<const void*, size_t>;
  return *limits;
}

size_t shared_limit(const void* kernel) {
  const auto found = shared_limits().find(kernel);
  return found == shared_limits().end() ? kDefaultSharedBytes : found->second;
}

uint64_t volume(const dim3& size) {
  return uint64_t{size.x} * size.y * size.z;
}

bool has_valid_shape(const Launch& launch) {
  const dim3 &grid = launch.grid, &block = launch.block;
  const bool grid_ok = volume(grid) > 0 && grid.x <= 0x7fffffffu && grid.y <= 65535 && grid.z <= 65535;
  return grid_ok && volume(block) > 0 && volume(block) <= kMaxThreadsPerBlock && block.z <= 64;
}

// A sanitizer that ends the process names the source line; this adds which thread of which block was there.
void name_current_thread() {
  if (!current) return;
  std::fprintf(stderr, "cuda emulation: in kernel %s block %s thread %s\n", grid.name,
               to_string(blockIdx).c_str(), to_string(current->thread_index).c_str());
}

void run_all_blocks() {
  const uint64_t count = volume(gridDim);
  const bool reverse = options().order == Order::kReverse;
  for (uint64_t i = 0; i < count && !context_failed(); ++i) {
    const uint64_t k = reverse ? count - 1 - i : i;
    const uint64_t plane = uint64_t{gridDim.x} * gridDim.y;
    blockIdx = {static_cast<unsigned>(k % gridDim.x), static_cast<unsigned>(k / gridDim.x % gridDim.y),
                static_cast<unsigned>(k / plane)};
    run_block();
  }
}

void run_grid(const Launch& launch, const std::function<void()>& body) {
  const auto begin = std::chrono::steady_clock::now();
  grid = {launch.name, launch.shared_bytes, &body};
  gridDim = launch.grid;
  blockDim = launch.block;
  set_death_callback(name_current_thread);
  begin_grid();
  run_all_blocks();
  end_grid();
  if (options().stats) {
    const std::chrono::duration<double, std::milli> elapsed = std::chrono::steady_clock::now() - begin;
    std::fprintf(stderr, "cuda emulation: %-32s %8llu blocks of %4llu threads %10.2f ms\n", launch.name,
                 static_cast<unsigned long long>(volume(launch.grid)),
                 static_cast<unsigned long long>(volume(launch.block)), elapsed.count());
  }
}

}  // namespace

void check_pointer_argument(const Launch& launch, int index, const void* pointer) {
  if (!pointer || is_live_device_pointer(pointer)) return;
  char text[256];
  std::snprintf(text, sizeof text, "launch of %s: argument %d (%p) is %s", launch.name, index, pointer,
                is_device_pointer(pointer) ? "freed device memory" : "not device memory");
  record_failure(text);
}

void launch_grid(const Launch& launch, std::function<void()> thread_body) {
  if (current) fail("launch of %s from inside a kernel", launch.name);
  if (context_failed()) return;
  if (!has_valid_shape(launch)) {
    set_error(cudaErrorInvalidConfiguration);
    return;
  }
  const size_t limit = shared_limit(launch.kernel);
  if (launch.shared_bytes > limit) {
    set_error(cudaErrorInvalidValue, "invalid argument: " + std::to_string(launch.shared_bytes) +
                                         " bytes of dynamic shared memory, the kernel may have " +
                                         std::to_string(limit) + " (see cudaFuncSetAttribute)");
    return;
  }
  enqueue(launch.stream, [launch, body = std::move(thread_body)] { run_grid(launch, body); });
}

}  // namespace cuda_emulation

using namespace cuda_emulation;

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return context_status();
  if (value < 0 || static_cast<size_t>(value) > kMaxSharedBytes) return set_error(cudaErrorInvalidValue);
  shared_limits()[kernel] = static_cast<size_t>(value);
  return context_status();
}
