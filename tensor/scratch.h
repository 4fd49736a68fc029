// Memory that a task of parallel_for works in. It belongs to the thread and is no tensor: how many tasks run
// at once is the machine's choice, and the peak of tensors must not depend on it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

namespace dlcm {

// `count` values of T without contents, aligned to 64 bytes; the thread's until it asks for scratch again.
template <class T>
T* thread_scratch(int64_t count) {
  constexpr std::align_val_t kAlignment{64};
  struct Free {
    void operator()(std::byte* bytes) const { ::operator delete (bytes, std::align_val_t{64}); }
  };
  thread_local std::unique_ptr<std::byte, Free> memory;
  thread_local size_t capacity = 0;
  const size_t bytes = static_cast<size_t>(count) * sizeof(T);
  if (capacity < bytes) {
    memory.reset(static_cast<std::byte*>(::operator new(bytes, kAlignment)));
    capacity = bytes;
  }
  return reinterpret_cast<T*>(memory.get());
}

}  // namespace dlcm
