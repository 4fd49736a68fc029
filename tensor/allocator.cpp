#include "tensor/allocator.h"

#include <algorithm>
#include <bit>
#include <cstdlib>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <sys/mman.h>

#include "tensor/check.h"
#include "tensor/dispatch.h"
#include "tensor/profile.h"

namespace dlcm {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kHugePage = size_t{2} << 20;
constexpr int64_t kSpareBytes = int64_t{64}
                                << 20;  // held beyond the bound, so that small models never give back

// Under AddressSanitizer every block goes back to the system at once, so that a use after free is seen.
#ifdef __SANITIZE_ADDRESS__
constexpr bool kCaching = false;
#else
constexpr bool kCaching = true;
#endif

size_t size_class(size_t bytes) {
  const size_t size = std::max(bytes, kAlignment);
  const size_t step = std::max(std::bit_floor(size) / 4, kAlignment);
  return (size + step - 1) / step * step;
}

}  // namespace

Allocator::~Allocator() {
  release_cached();
}

std::shared_ptr<void> Allocator::allocate(size_t bytes) {
  DLCM_CHECK(bytes < (size_t{1} << 60), "allocator: ", bytes, " bytes asked for");
  void* block = take_block(bytes);
  // Not under the lock: where there is no memory for the reference count, the block is released at once.
  return {block, [this, bytes](void* freed) { release(freed, bytes); }};
}

void* Allocator::take_block(size_t bytes) {
  const size_t size = size_class(bytes);
  const std::lock_guard lock(mutex_);
  SizeClass& list = classes_[size];
  list.last_use = ++allocations_;
  most_allocated_ = std::max(most_allocated_, statistics_.allocated_bytes + static_cast<int64_t>(bytes));
  void* block = nullptr;
  if (!list.cached.empty()) {
    block = list.cached.back();
    list.cached.pop_back();
  } else {
    list.cached.reserve(list.blocks + 1);
    make_room(size);
    block = system_allocate(size);
    if (block == nullptr) {
      release_cached_locked();
      block = system_allocate(size);
    }
    DLCM_CHECK(block != nullptr, "out of memory on ", device_, ": ", bytes, " bytes asked for, ",
               statistics_.allocated_bytes, " in use");
    ++list.blocks;
    statistics_.reserved_bytes += static_cast<int64_t>(size);
    ++statistics_.system_calls;
  }
  statistics_.allocated_bytes += static_cast<int64_t>(bytes);
  if (held_) held_->add(block, static_cast<int64_t>(bytes), operator_at_work());
  if (statistics_.allocated_bytes > statistics_.peak_bytes) {
    statistics_.peak_bytes = statistics_.allocated_bytes;
    if (held_) held_->note_peak();
  }
  return block;
}

void Allocator::release(void* block, size_t bytes) noexcept {
  const std::lock_guard lock(mutex_);
  statistics_.allocated_bytes -= static_cast<int64_t>(bytes);
  if (held_) held_->remove(block, static_cast<int64_t>(bytes));
  SizeClass& list = classes_.find(size_class(bytes))->second;
  if (kCaching) {
    list.cached.push_back(block);  // within what take_block() reserved
  } else {
    --list.blocks;
    statistics_.reserved_bytes -= static_cast<int64_t>(size_class(bytes));
    system_free(block);
  }
}

MemoryStatistics Allocator::statistics() const {
  const std::lock_guard lock(mutex_);
  return statistics_;
}

void Allocator::reset_peak() {
  const std::lock_guard lock(mutex_);
  statistics_.peak_bytes = statistics_.allocated_bytes;
}

void Allocator::watch() {
  const std::lock_guard lock(mutex_);
  statistics_.peak_bytes = statistics_.allocated_bytes;
  held_.emplace(statistics_.allocated_bytes);
}

std::vector<HeldBytes> Allocator::unwatch() {
  const std::lock_guard lock(mutex_);
  const std::vector<HeldBytes> result = held_->at_peak();
  held_.reset();
  return result;
}

void Allocator::release_cached() {
  const std::lock_guard lock(mutex_);
  release_cached_locked();
}

void Allocator::release_cached_locked() {
  for (auto& [size, list] : classes_) {
    for (void* block : list.cached) system_free(block);
    statistics_.reserved_bytes -= static_cast<int64_t>(size * list.cached.size());
    list.blocks -= list.cached.size();
    list.cached.clear();
  }
}

// Gives cached blocks back until `size` more bytes from the system are within bounds, or none is left.
void Allocator::make_room(size_t size) {
  const int64_t limit = most_allocated_ + most_allocated_ / 2 + kSpareBytes - static_cast<int64_t>(size);
  while (statistics_.reserved_bytes > limit) {
    auto oldest = classes_.end();
    for (auto it = classes_.begin(); it != classes_.end(); ++it) {
      if (it->second.cached.empty()) continue;
      if (oldest == classes_.end() || it->second.last_use < oldest->second.last_use) oldest = it;
    }
    if (oldest == classes_.end()) return;
    system_free(oldest->second.cached.back());
    oldest->second.cached.pop_back();
    --oldest->second.blocks;
    statistics_.reserved_bytes -= static_cast<int64_t>(oldest->first);
  }
}

void* Allocator::system_allocate(size_t bytes) const {
  if (!device_.is_cpu()) return cuda_allocate(device_, bytes);
  if (bytes < kHugePage) return std::aligned_alloc(kAlignment, bytes);
  // In pages of 4 KiB the processor looks up addresses half of the time that it reads rows far apart.
  void* block = nullptr;
  if (posix_memalign(&block, kHugePage, bytes) != 0) return nullptr;
#ifdef MADV_HUGEPAGE
  madvise(block, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
#endif
  return block;
}

void Allocator::system_free(void* block) const {
  if (device_.is_cpu()) {
    std::free(block);
  } else {
    cuda_free(device_, block);
  }
}

Allocator& allocator(Device device) {
  // Never destroyed: tensors in static storage may outlive any order of destruction chosen here.
  static auto* cpu = [] {
#ifdef __GLIBC__
    // Large blocks are mapped one by one, so that freed ones go back to the system: glibc would raise the
    // threshold.
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
#endif
    return new Allocator(Device::cpu());
  }();
  if (device.is_cpu()) return *cpu;
  static auto* mutex = new std::mutex;
  static auto* cuda = new std::map<int, Allocator>;
  const std::lock_guard lock(*mutex);
  return cuda->try_emplace(device.index, device).first->second;
}

}  // namespace dlcm
