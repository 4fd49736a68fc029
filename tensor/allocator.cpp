#include "tensor/allocator.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <functional>
#include <utility>

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

// What blocks of one size come from the system in: as few huge pages as leave at most an eighth unused.
struct Slab {
  size_t blocks, bytes;
};

Slab slab_of(size_t size, Device device) {
  constexpr size_t kSmallestCut = size_t{32} << 10;
  if (!kCaching || !device.is_cpu() || size < kSmallestCut || size >= kHugePage) return {1, size};
  size_t bytes = kHugePage;
  while (bytes % size > bytes / 8) bytes += kHugePage;
  return {bytes / size, bytes};
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
  const int64_t most_before = std::exchange(
      most_allocated_, std::max(most_allocated_, statistics_.allocated_bytes + static_cast<int64_t>(bytes)));
  void* block = nullptr;
  if (!list.cached.empty()) {
    block = list.cached.back();
    list.cached.pop_back();
  } else {
    block = cut_block(size, list);
    if (block == nullptr) most_allocated_ = most_before;
    DLCM_CHECK(block != nullptr, "out of memory on ", device_, ": ", bytes, " bytes asked for, ",
               statistics_.allocated_bytes, " in use");
  }
  statistics_.allocated_bytes += static_cast<int64_t>(bytes);
  if (held_) held_->add(block, static_cast<int64_t>(bytes), operator_at_work());
  if (statistics_.allocated_bytes > statistics_.peak_bytes) {
    statistics_.peak_bytes = statistics_.allocated_bytes;
    if (held_) held_->note_peak();
  }
  return block;
}

// A block from the system, together with others that are cached; null where it has no more.
void* Allocator::cut_block(size_t size, SizeClass& list) {
  const Slab slab = slab_of(size, device_);
  list.cached.reserve(list.blocks + slab.blocks);
  if (slab.blocks > 1) list.slabs.reserve(list.slabs.size() + 1);
  make_room(slab.bytes);
  void* memory = system_allocate(slab.bytes);
  if (memory == nullptr) {
    release_cached_locked();
    memory = system_allocate(slab.bytes);
  }
  if (memory == nullptr) return nullptr;
  for (size_t i = slab.blocks - 1; i > 0; --i) list.cached.push_back(static_cast<char*>(memory) + i * size);
  if (slab.blocks > 1) list.slabs.push_back(memory);
  list.blocks += slab.blocks;
  statistics_.reserved_bytes += static_cast<int64_t>(slab.bytes);
  ++statistics_.system_calls;
  return memory;
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
  DLCM_CHECK(held_, "allocator: unwatch() without watch()");
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
    while (give_back(size, list)) continue;
  }
}

// Gives cached blocks back until `bytes` more from the system are within bounds, or none can go.
void Allocator::make_room(size_t bytes) {
  const int64_t limit = most_allocated_ + most_allocated_ / 2 + kSpareBytes - static_cast<int64_t>(bytes);
  if (statistics_.reserved_bytes <= limit) return;
  std::vector<std::pair<uint64_t, size_t>> oldest_first;
  for (const auto& [size, list] : classes_) oldest_first.emplace_back(list.last_use, size);
  std::sort(oldest_first.begin(), oldest_first.end());
  for (const auto& [last_use, size] : oldest_first) {
    while (statistics_.reserved_bytes > limit && give_back(size, classes_[size])) continue;
  }
}

// A cached block, or a slab all of whose blocks are cached; false where there is none.
bool Allocator::give_back(size_t size, SizeClass& list) {
  const Slab slab = slab_of(size, device_);
  if (list.cached.size() < slab.blocks) return false;
  if (slab.blocks == 1) {
    system_free(list.cached.back());
    list.cached.pop_back();
  } else {
    // In order of their addresses the blocks of such a slab follow its first one.
    std::sort(list.cached.begin(), list.cached.end(), std::less<>());
    const auto cached_from = [&](const void* memory) {
      return std::lower_bound(list.cached.begin(), list.cached.end(), memory, std::less<>());
    };
    const auto last_of = [&](const void* memory) {
      return static_cast<const char*>(memory) + (slab.blocks - 1) * size;
    };
    const auto unused = std::find_if(list.slabs.begin(), list.slabs.end(), [&](const void* memory) {
      const auto first = cached_from(memory);
      return std::distance(first, list.cached.end()) >= static_cast<ptrdiff_t>(slab.blocks) &&
             first[static_cast<ptrdiff_t>(slab.blocks) - 1] == last_of(memory);
    });
    if (unused == list.slabs.end()) return false;
    const auto first = cached_from(*unused);
    list.cached.erase(first, first + static_cast<ptrdiff_t>(slab.blocks));
    system_free(*unused);
    list.slabs.erase(unused);
  }
  list.blocks -= slab.blocks;
  statistics_.reserved_bytes -= static_cast<int64_t>(slab.bytes);
  return true;
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
