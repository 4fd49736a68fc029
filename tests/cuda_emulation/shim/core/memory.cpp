#include "memory.h"

#include <bit>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#include "device.h"
#include "options.h"
#include "sanitizers.h"
#include "stream.h"

namespace cuda_emulation {
namespace {

constexpr size_t kGapBytes = 512;               // poisoned, after every allocation
constexpr size_t kAlignment = 256;              // cudaMalloc's
constexpr size_t kMapBytes = size_t{16} << 20;  // the arena becomes accessible in steps of this size
constexpr size_t kQuarantineBytes = size_t{32}
                                    << 20;  // freed memory is not given out again before this much more
constexpr int kUninitialised = 0xFF;        // NaN in every floating-point type

struct Freed {
  char* begin;
  size_t bytes;  // of the size class
};

struct Arena {
  char* begin = nullptr;
  char* top = nullptr;     // end of what was ever given out
  char* mapped = nullptr;  // end of what may be accessed
  std::map<const char*, size_t> live;
  std::deque<Freed> quarantine;
  size_t quarantine_bytes = 0;
  std::multimap<size_t, char*> reusable;
  std::set<const void*> pinned;  // host memory from cudaMallocHost
  int access_depth = 0;
};

// Never destroyed: static objects of the program may free device memory after this file's would be gone.
Arena& arena = *new Arena;

struct sigaction previous_handler;

// EMU_PROTECT: says what the crash means, then lets it happen.
void explain_protected_access(int, siginfo_t* info, void*) {
  if (is_device_pointer(info->si_addr)) {
    constexpr char kText[] = "cuda emulation: host code dereferences device memory\n";
    [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, kText, sizeof kText - 1);
  }
  sigaction(SIGSEGV, &previous_handler, nullptr);
}

void set_arena_access(bool accessible) {
  if (!options().protect || arena.mapped == arena.begin) return;
  const size_t bytes = static_cast<size_t>(arena.mapped - arena.begin);
  mprotect(arena.begin, bytes, accessible ? PROT_READ | PROT_WRITE : PROT_NONE);
}

void reserve_arena() {
  void* address = mmap(nullptr, kArenaBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (address == MAP_FAILED) return;
  arena.begin = arena.top = arena.mapped = static_cast<char*>(address);
  if (!options().protect) return;
  struct sigaction handler = {};
  handler.sa_sigaction = explain_protected_access;
  handler.sa_flags = SA_SIGINFO;
  sigaction(SIGSEGV, &handler, &previous_handler);
}

// Rounded up by at most an eighth, so that memory freed by one size serves the next, slightly different one.
size_t size_class(size_t bytes) {
  const size_t step = std::max(kAlignment, std::bit_floor(bytes) / 8);
  return (bytes + step - 1) / step * step + kGapBytes;
}

char* take_from_top(size_t bytes) {
  if (!arena.begin) reserve_arena();
  if (!arena.begin || bytes > kArenaBytes - static_cast<size_t>(arena.top - arena.begin)) return nullptr;
  char* begin = arena.top;
  arena.top += bytes;
  if (arena.top > arena.mapped) {
    const size_t needed = static_cast<size_t>(arena.top - arena.begin);
    char* end = arena.begin + (needed + kMapBytes - 1) / kMapBytes * kMapBytes;
    mprotect(arena.mapped, static_cast<size_t>(end - arena.mapped), PROT_READ | PROT_WRITE);
    arena.mapped = end;
  }
  return begin;
}

void* allocate(size_t bytes) {
  if (bytes > kArenaBytes) return nullptr;  // before the rounding up can overflow
  const size_t class_bytes = size_class(bytes);
  char* begin = nullptr;
  const auto found = arena.reusable.find(class_bytes);
  if (found != arena.reusable.end()) {
    begin = found->second;
    arena.reusable.erase(found);
  } else {
    begin = take_from_top(class_bytes);
    if (!begin) return nullptr;
  }
  DeviceMemoryAccess access;
  unpoison(begin, bytes);
  std::memset(begin, kUninitialised, bytes);
  poison(begin + bytes, class_bytes - bytes);
  arena.live[begin] = bytes;
  return begin;
}

// Freed memory rests first: a kernel that still uses it should meet poison, not somebody else's data.
void quarantine(char* begin, size_t class_bytes) {
  arena.quarantine.push_back({begin, class_bytes});
  arena.quarantine_bytes += class_bytes;
  while (arena.quarantine_bytes > kQuarantineBytes) {
    const Freed oldest = arena.quarantine.front();
    arena.quarantine.pop_front();
    arena.quarantine_bytes -= oldest.bytes;
    arena.reusable.insert({oldest.bytes, oldest.begin});
  }
}

cudaError_t release(void* pointer) {
  if (!pointer) return context_status();
  const auto found = arena.live.find(static_cast<char*>(pointer));
  if (found == arena.live.end()) {
    return set_error(cudaErrorInvalidValue, "invalid argument: cudaFree of what is not a live allocation");
  }
  const size_t bytes = found->second;
  arena.live.erase(found);
  {
    DeviceMemoryAccess access;
    std::memset(pointer, kUninitialised, bytes);
  }
  poison(pointer, bytes);
  quarantine(static_cast<char*>(pointer), size_class(bytes));
  return context_status();
}

// The allocation that holds the address or ends there.
std::map<const char*, size_t>::const_iterator find_allocation(const void* pointer) {
  auto next = arena.live.upper_bound(static_cast<const char*>(pointer));
  if (next == arena.live.begin()) return arena.live.end();
  --next;
  const size_t offset = static_cast<size_t>(static_cast<const char*>(pointer) - next->first);
  return offset <= next->second ? next : arena.live.end();
}

bool is_inside_allocation(const void* pointer, size_t bytes) {
  const auto found = find_allocation(pointer);
  if (found == arena.live.end()) return false;
  return static_cast<size_t>(static_cast<const char*>(pointer) - found->first) + bytes <= found->second;
}

bool is_pinned(const void* pointer) {
  // Allocations are looked up by their begin: a pointer into the middle of one counts as pageable, which only
  // means that its contents are read at once.
  return arena.pinned.contains(pointer);
}

const char* what_is_wrong_with_copy(const void* destination, const void* source, size_t bytes,
                                    cudaMemcpyKind kind) {
  const bool to_device = is_device_pointer(destination), from_device = is_device_pointer(source);
  if (kind != cudaMemcpyDefault) {
    const bool says_to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    const bool says_from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    if (to_device != says_to_device) return "the destination is not where cudaMemcpyKind says";
    if (from_device != says_from_device) return "the source is not where cudaMemcpyKind says";
  }
  if (to_device && !is_inside_allocation(destination, bytes)) return "the destination exceeds its allocation";
  if (from_device && !is_inside_allocation(source, bytes)) return "the source exceeds its allocation";
  return nullptr;
}

}  // namespace

bool is_device_pointer(const void* pointer) {
  const char* address = static_cast<const char*>(pointer);
  return arena.begin && address >= arena.begin && address < arena.top;
}

bool is_live_device_pointer(const void* pointer) {
  return find_allocation(pointer) != arena.live.end();
}

DeviceMemoryAccess::DeviceMemoryAccess() {
  if (arena.access_depth++ == 0) set_arena_access(true);
}

DeviceMemoryAccess::~DeviceMemoryAccess() {
  if (--arena.access_depth == 0) set_arena_access(false);
}

}  // namespace cuda_emulation

using namespace cuda_emulation;

cudaError_t cudaMalloc(void** pointer, size_t bytes) {
  *pointer = bytes > 0 ? allocate(bytes) : nullptr;
  return bytes > 0 && !*pointer ? set_error(cudaErrorMemoryAllocation) : context_status();
}

// Freeing waits for the device, so it hides no missing synchronisation that a GPU would show.
cudaError_t cudaFree(void* pointer) {
  finish_all_streams();
  return release(pointer);
}

cudaError_t cudaMallocAsync(void** pointer, size_t bytes, cudaStream_t) {
  return cudaMalloc(pointer, bytes);
}

cudaError_t cudaFreeAsync(void* pointer, cudaStream_t stream) {
  enqueue(stream, [pointer] { release(pointer); });
  return context_status();
}

cudaError_t cudaMallocHost(void** pointer, size_t bytes, unsigned) {
  *pointer = std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  if (!*pointer) return set_error(cudaErrorMemoryAllocation);
  arena.pinned.insert(*pointer);
  return context_status();
}

cudaError_t cudaFreeHost(void* pointer) {
  finish_all_streams();
  arena.pinned.erase(pointer);
  std::free(pointer);
  return context_status();
}

cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total_bytes) {
  size_t used = 0;
  for (const auto& [begin, bytes] : arena.live) used += bytes;
  *total_bytes = kArenaBytes;
  *free_bytes = kArenaBytes - used;
  return context_status();
}

// Copies to the host happen when the stream is waited for even if the target is pageable, where CUDA would
// block: code that relies on that breaks the day somebody pins the buffer.
cudaError_t cudaMemcpyAsync(void* destination, const void* source, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  if (bytes == 0) return context_status();
  if (const char* wrong = what_is_wrong_with_copy(destination, source, bytes, kind)) {
    return set_error(cudaErrorInvalidValue, std::string("invalid argument: ") + wrong);
  }
  if (options().defer && !is_device_pointer(source) && !is_pinned(source)) {
    // CUDA promises to have read pageable memory when the call returns.
    const char* begin = static_cast<const char*>(source);
    auto staged = std::make_shared<std::vector<char>>(begin, begin + bytes);
    enqueue(stream, [=] { std::memcpy(destination, staged->data(), bytes); });
  } else {
    enqueue(stream, [=] { std::memcpy(destination, source, bytes); });
  }
  return context_status();
}

cudaError_t cudaMemcpy(void* destination, const void* source, size_t bytes, cudaMemcpyKind kind) {
  const cudaError_t error = cudaMemcpyAsync(destination, source, bytes, kind, nullptr);
  finish_stream(nullptr);
  return error == cudaSuccess ? context_status() : error;
}

cudaError_t cudaMemsetAsync(void* destination, int value, size_t bytes, cudaStream_t stream) {
  if (bytes == 0) return context_status();
  if (!is_inside_allocation(destination, bytes)) {
    return set_error(cudaErrorInvalidValue, "invalid argument: the destination exceeds its allocation");
  }
  enqueue(stream, [=] { std::memset(destination, value, bytes); });
  return context_status();
}

cudaError_t cudaMemset(void* destination, int value, size_t bytes) {
  return cudaMemsetAsync(destination, value, bytes, nullptr);
}
