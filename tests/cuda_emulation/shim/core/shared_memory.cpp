// The shared memory of the running block, and the asynchronous copies into it.
#include <cstring>

#include <sys/mman.h>

#include "block.h"
#include "emulated_tensor_core.h"

namespace cuda_emulation {
namespace {

// Room for the redzones beside what a block may have.
constexpr size_t kSlotBytes = 256 << 10;
constexpr size_t kRedzoneBytes = 64;
constexpr size_t kMaxStaticBytes = 48 << 10;  // nvcc refuses more
// All bits set: NaN in every floating-point type, -1 in every integer. Whoever reads what nobody wrote
// notices.
constexpr int kUninitialised = 0xFF;
constexpr size_t kCopyBytes = 16;

struct SharedVariable {
  const void* key;
  void* storage;
};

char* slot_begin = nullptr;
size_t used_bytes = 0;    // with redzones
size_t static_bytes = 0;  // without
size_t dynamic_bytes = 0;
void* dynamic_storage = nullptr;
std::vector<SharedVariable> variables;

char* slots() {
  static char* memory = [] {
    void* address = mmap(nullptr, kSlotBytes * kSlots, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (address == MAP_FAILED) fail("no memory for shared memory");
    return static_cast<char*>(address);
  }();
  return memory;
}

void* allocate(size_t bytes, size_t alignment) {
  used_bytes = (used_bytes + alignment - 1) / alignment * alignment;
  if (used_bytes + bytes + kRedzoneBytes > kSlotBytes)
    fail("shared memory does not fit the emulation's slot");
  char* storage = slot_begin + used_bytes;
  used_bytes += bytes + kRedzoneBytes;
  unpoison(storage, bytes);
  [[maybe_unused]] HiddenFromRaceDetector hidden;
  std::memset(storage, kUninitialised, bytes);
  return storage;
}

}  // namespace

void begin_shared_memory(unsigned slot, size_t bytes) {
  slot_begin = slots() + kSlotBytes * slot;
  poison(slot_begin, kSlotBytes);
  used_bytes = kRedzoneBytes;
  static_bytes = 0;
  dynamic_bytes = bytes;
  variables.clear();
  dynamic_storage = allocate(bytes, 1024);
}

void* dynamic_shared_memory() {
  require_kernel("dynamic_smem");
  return dynamic_storage;
}

void* shared_variable(const void* key, size_t bytes, size_t alignment) {
  require_kernel("DLCM_SHARED_ARRAY");
  for (const SharedVariable& variable : variables) {
    if (variable.key == key) return variable.storage;
  }
  static_bytes += bytes;
  if (static_bytes > kMaxStaticBytes) fail("more than 48 KiB of shared arrays: use dynamic shared memory");
  if (static_bytes + dynamic_bytes > kMaxSharedBytes) fail("static and dynamic shared memory exceed 227 KiB");
  void* storage = allocate(bytes, alignment);
  variables.push_back({key, storage});
  return storage;
}

// The copy happens as late as it may, when it is waited for: a missing wait leaves what was there. What is
// there from now on is garbage: a destination that other threads still read is damaged at once, in the sight
// of the race detector.
void cp_async16(void* destination, const void* source) {
  require_kernel("cp.async");
  if ((reinterpret_cast<uintptr_t>(destination) | reinterpret_cast<uintptr_t>(source)) % kCopyBytes != 0) {
    fail("cp.async: destination %p or source %p is not aligned to 16 bytes", destination, source);
  }
  std::memset(destination, kUninitialised, kCopyBytes);
  current->copies.push_back({destination, source, current->committed_groups});
}

void cp_async_commit() {
  require_kernel("cp.async");
  ++current->committed_groups;
}

void cp_async_wait(int pending_groups) {
  require_kernel("cp.async");
  const int complete_before = current->committed_groups - pending_groups;
  std::erase_if(current->copies, [=](const AsyncCopy& copy) {
    if (copy.group >= complete_before) return false;
    std::memcpy(copy.destination, copy.source, kCopyBytes);
    return true;
  });
}

}  // namespace cuda_emulation
