#include "tensor/scratch.h"

#include <memory>
#include <new>

namespace dlcm::detail {
namespace {

constexpr std::align_val_t kAlignment{64};

struct Free {
  void operator()(std::byte* bytes) const { ::operator delete(bytes, kAlignment); }
};

}  // namespace

void* thread_scratch_bytes(size_t bytes) {
  thread_local std::unique_ptr<std::byte, Free> memory;
  thread_local size_t capacity = 0;
  if (capacity < bytes) {
    memory.reset();  // before the larger one is taken
    capacity = 0;    // should that throw
    memory.reset(static_cast<std::byte*>(::operator new(bytes, kAlignment)));
    capacity = bytes;
  }
  return memory.get();
}

}  // namespace dlcm::detail
