// What the core tells AddressSanitizer and ThreadSanitizer. Without a sanitizer every function is empty.
//
// The core itself must not be compiled with -fsanitize=thread: its own bookkeeping, shared by all device
// threads without locks, would be reported as races. DLCM_EMULATION_TSAN asks for the calls into the race
// detector instead.
#pragma once

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(DLCM_EMULATION_TSAN)
#include <sanitizer/tsan_interface.h>

// Part of the detector's library, declared in none of its headers.
extern "C" {
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
void AnnotateIgnoreWritesBegin(const char* file, int line);
void AnnotateIgnoreWritesEnd(const char* file, int line);
}
#endif

namespace cuda_emulation {

struct StackBounds {
  const void* bottom = nullptr;
  size_t size = 0;
};

#if defined(__SANITIZE_ADDRESS__)

inline void poison(const void* begin, size_t bytes) {
  __asan_poison_memory_region(begin, bytes);
}
inline void unpoison(const void* begin, size_t bytes) {
  __asan_unpoison_memory_region(begin, bytes);
}

// ASan keeps the bounds of the running stack (and, if asked to, a fake stack) and must hear of each switch:
// before, on the old stack, and after, on the new one. A null `save_fake_stack` says that the old stack is
// left for good.
inline void asan_before_switch(void** save_fake_stack, const StackBounds& target) {
  __sanitizer_start_switch_fiber(save_fake_stack, target.bottom, target.size);
}
inline void asan_after_switch(void* fake_stack, StackBounds* left_stack) {
  __sanitizer_finish_switch_fiber(fake_stack, left_stack ? &left_stack->bottom : nullptr,
                                  left_stack ? &left_stack->size : nullptr);
}
inline void set_death_callback(void (*callback)()) {
  __sanitizer_set_death_callback(callback);
}

#else

inline void poison(const void*, size_t) {}
inline void unpoison(const void*, size_t) {}
inline void asan_before_switch(void**, const StackBounds&) {}
inline void asan_after_switch(void*, StackBounds*) {}
inline void set_death_callback(void (*)()) {}

#endif

#if defined(DLCM_EMULATION_TSAN)

inline constexpr bool kRaceDetection = true;

// Release and acquire on the address of a token are the only order between device threads that the detector
// knows: a switch of fibers is declared to be none.
inline void tsan_release(void* token) {
  __tsan_release(token);
}
inline void tsan_acquire(void* token) {
  __tsan_acquire(token);
}
inline void* tsan_create_fiber(const char* name) {
  void* fiber = __tsan_create_fiber(0);
  __tsan_set_fiber_name(fiber, name);
  return fiber;
}
inline void* tsan_current_fiber() {
  return __tsan_get_current_fiber();
}
inline void tsan_switch_to(void* fiber) {
  __tsan_switch_to_fiber(fiber, __tsan_switch_to_fiber_no_sync);
}

// Accesses within this scope are the emulation's, not the kernel's.
class HiddenFromRaceDetector {
 public:
  HiddenFromRaceDetector() {
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
  }
  ~HiddenFromRaceDetector() {
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
  }
};

#else

inline constexpr bool kRaceDetection = false;

inline void tsan_release(void*) {}
inline void tsan_acquire(void*) {}
inline void* tsan_create_fiber(const char*) {
  return nullptr;
}
inline void* tsan_current_fiber() {
  return nullptr;
}
inline void tsan_switch_to(void*) {}

class HiddenFromRaceDetector {
 public:
  HiddenFromRaceDetector() {}
};

#endif

}  // namespace cuda_emulation
