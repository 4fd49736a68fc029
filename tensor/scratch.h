// Memory that a task of parallel_for works in. It belongs to the thread and is no tensor: how many tasks run
// at once is the machine's choice, and the peak of tensors must not depend on it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dlcm {

namespace detail {
void* thread_scratch_bytes(size_t bytes);
}

// `count` values of T without contents, aligned to 64 bytes; the thread's until it asks for scratch again.
template <class T>
T* thread_scratch(int64_t count) {
  return static_cast<T*>(detail::thread_scratch_bytes(static_cast<size_t>(count) * sizeof(T)));
}

}  // namespace dlcm
