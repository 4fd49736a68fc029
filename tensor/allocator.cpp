#include "tensor/allocator.h"

#include <algorithm>
#include <bit>
#include <cstdlib>

#include "tensor/check.h"
#include "tensor/dispatch.h"

namespace dlcm {
namespace {

constexpr size_t kAlignment = 64;

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
  const size_t size = size_class(bytes);
  const std::lock_guard lock(mutex_);
  void* block = nullptr;
  if (auto list = cached_.find(size); list != cached_.end() && !list->second.empty()) {
    block = list->second.back();
    list->second.pop_back();
  } else {
    block = system_allocate(size);
    if (block == nullptr) {
      release_cached_locked();
      block = system_allocate(size);
    }
    DLCM_CHECK(block != nullptr, "out of memory on ", device_, ": ", bytes, " bytes asked for, ",
               statistics_.allocated_bytes, " in use");
    statistics_.reserved_bytes += static_cast<int64_t>(size);
    ++statistics_.system_calls;
  }
  statistics_.allocated_bytes += static_cast<int64_t>(bytes);
  statistics_.peak_bytes = std::max(statistics_.peak_bytes, statistics_.allocated_bytes);
  return {block, [this, bytes](void* freed) { release(freed, bytes); }};
}

void Allocator::release(void* block, size_t bytes) {
  const std::lock_guard lock(mutex_);
  statistics_.allocated_bytes -= static_cast<int64_t>(bytes);
  if (kCaching) {
    cached_[size_class(bytes)].push_back(block);
  } else {
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

void Allocator::release_cached() {
  const std::lock_guard lock(mutex_);
  release_cached_locked();
}

void Allocator::release_cached_locked() {
  for (auto& [size, blocks] : cached_) {
    for (void* block : blocks) system_free(block);
    statistics_.reserved_bytes -= static_cast<int64_t>(size * blocks.size());
  }
  cached_.clear();
}

void* Allocator::system_allocate(size_t bytes) const {
  if (device_.is_cpu()) return std::aligned_alloc(kAlignment, bytes);
  return cuda_allocate(device_, bytes);
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
  static auto* cpu = new Allocator(Device::cpu());
  if (device.is_cpu()) return *cpu;
  static auto* mutex = new std::mutex;
  static auto* cuda = new std::map<int, Allocator>;
  const std::lock_guard lock(*mutex);
  return cuda->try_emplace(device.index, device).first->second;
}

}  // namespace dlcm
