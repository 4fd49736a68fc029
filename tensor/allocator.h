// Caching allocator: one per device. Freed blocks are kept in lists by size class and handed out again, so
// that a training loop whose shapes vary (the number of concepts does, every step) soon allocates nothing
// from the system.
//
// Size classes are a power of two divided in four, so at most a fifth of a block is unused. What is held from
// the system stays within one and a half of what tensors ever needed at once, and 64 MiB (and slabs, see
// below, of which few blocks are in use): beyond, cached blocks go back, those of the class that has gone
// unused for longest first (where shapes vary, every class would else keep as many as it ever needed). Blocks
// are aligned to 64 bytes (a cache line, an AVX-512 register). Thread-safe.
//
// In the processor's memory blocks lie in huge pages, as rows far apart and many weights would else wait for
// the lookup of their addresses. Those of 32 KiB and more that are smaller than such a page are cut from
// slabs, each of one class, which go back to the system when none of their blocks is in use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "tensor/device.h"
#include "tensor/held_bytes.h"

namespace dlcm {

struct MemoryStatistics {
  int64_t allocated_bytes = 0;  // in live tensors, as asked for
  int64_t peak_bytes = 0;       // largest allocated_bytes since the last reset_peak()
  int64_t reserved_bytes = 0;   // held from the system, cached blocks included
  int64_t system_calls = 0;     // allocations that the cache could not serve
};

class Allocator {
 public:
  explicit Allocator(Device device) : device_(device) {}
  ~Allocator();
  Allocator(const Allocator&) = delete;
  Allocator& operator=(const Allocator&) = delete;

  // The block frees itself into the cache when the last reference goes. Throws Error naming the bytes asked
  // for and held when the system has no more, after giving the cached blocks back and trying again.
  std::shared_ptr<void> allocate(size_t bytes);

  MemoryStatistics statistics() const;
  void reset_peak();
  // Gives every cached block back to the system.
  void release_cached();

  // From here on each new block remembers the operator that made it (AllocationScope), and what is held is
  // noted at each new peak; the peak begins anew. Not for timing: every allocation takes longer.
  void watch();
  // Ends that, and says what was held at the peak, by operator, most first.
  std::vector<HeldBytes> unwatch();

 private:
  struct SizeClass {
    std::vector<void*> cached;
    // Cached or in use: `cached` has room for all of them, so that freeing never allocates.
    size_t blocks = 0;
    std::vector<void*> slabs;  // where blocks are cut from slabs
    uint64_t last_use = 0;     // in allocations
  };

  void* take_block(size_t bytes);
  void* cut_block(size_t size, SizeClass& list);
  void release(void* block, size_t bytes) noexcept;
  bool give_back(size_t size, SizeClass& list);
  void release_cached_locked();
  void make_room(size_t bytes);
  void* system_allocate(size_t bytes) const;
  void system_free(void* block) const;

  Device device_;
  mutable std::mutex mutex_;
  std::map<size_t, SizeClass> classes_;
  uint64_t allocations_ = 0;
  int64_t most_allocated_ = 0;          // peak_bytes without reset_peak()
  std::optional<HeldByOperator> held_;  // while it is watched
  MemoryStatistics statistics_;
};

// The allocator of a device; lives as long as the process.
Allocator& allocator(Device device);

}  // namespace dlcm
