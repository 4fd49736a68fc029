// One stack of execution that can be left and entered again: a device thread runs on it until it must wait.
#pragma once

#include "sanitizers.h"

#if defined(EMU_UCONTEXT) || !defined(__x86_64__)
#define DLCM_FIBER_UCONTEXT 1
#include <ucontext.h>
#endif

namespace cuda_emulation {

#ifdef DLCM_FIBER_UCONTEXT
using Context = ucontext_t;
#else
// The callee-saved registers lie on the stack itself.
struct Context {
  void* stack_pointer = nullptr;
};
#endif

class Fiber {
 public:
  using Entry = void (*)();

  // Called by the scheduler: runs the fiber until it suspends. The first call begins at `entry`, which never
  // returns; race reports call the fiber by its number.
  void resume(Entry entry, unsigned number);
  // Called on the fiber: back to the scheduler.
  void suspend();
  // The same for good, with whatever is on the stack left as it is.
  [[noreturn]] void abandon();
  // Called by the scheduler: tells the race detector that what the fiber did so far precedes an acquire of
  // the token.
  void release_on_behalf(void* token);

 private:
  void allocate(unsigned number);

  Context context_;
  StackBounds stack_;
  void* fake_stack_ = nullptr;
  void* tsan_fiber_ = nullptr;
  bool started_ = false;
};

}  // namespace cuda_emulation
