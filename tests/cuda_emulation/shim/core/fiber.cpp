#include "fiber.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include <sys/mman.h>

namespace cuda_emulation {
namespace {

constexpr size_t kStackBytes = 256 << 10;
constexpr size_t kGuardBytes = 4096;

// The other end of each switch. There is one scheduler, on the host thread's own stack.
Context scheduler_context;
StackBounds scheduler_stack;
void* scheduler_fake_stack = nullptr;
void* scheduler_tsan_fiber = nullptr;
Fiber::Entry starting_entry = nullptr;

void first_instructions() {
  asan_after_switch(nullptr, &scheduler_stack);
  starting_entry();
  std::abort();  // entries do not return
}

}  // namespace

#ifdef DLCM_FIBER_UCONTEXT

namespace {

void switch_context(Context& from, Context& to) {
  swapcontext(&from, &to);
}

void make_context(Context& context, const StackBounds& stack) {
  getcontext(&context);
  context.uc_stack.ss_sp = const_cast<void*>(stack.bottom);
  context.uc_stack.ss_size = stack.size;
  context.uc_link = nullptr;
  makecontext(&context, first_instructions, 0);
}

}  // namespace

#else

// swapcontext makes two system calls to save signal masks, ten times the cost of the switch. This saves what
// the System V ABI makes a callee keep, except the floating-point control words, which device code never
// changes.
extern "C" void dlcm_emulation_switch(void** save_stack_pointer, void* load_stack_pointer);
asm(R"(
.text
.globl dlcm_emulation_switch
.type dlcm_emulation_switch, @function
dlcm_emulation_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size dlcm_emulation_switch, . - dlcm_emulation_switch
)");

namespace {

void switch_context(Context& from, Context& to) {
  dlcm_emulation_switch(&from.stack_pointer, to.stack_pointer);
}

// Lays out the stack as the switch above leaves it: six registers, then the address it returns to. One empty
// word above that address is the return address of `first_instructions`, which also gives it the alignment of
// a callee.
void make_context(Context& context, const StackBounds& stack) {
  const uintptr_t end = (reinterpret_cast<uintptr_t>(stack.bottom) + stack.size) & ~uintptr_t{63};
  void** top = reinterpret_cast<void**>(end);
  *--top = nullptr;
  *--top = reinterpret_cast<void*>(&first_instructions);
  for (int i = 0; i < 6; ++i) *--top = nullptr;
  context.stack_pointer = top;
}

}  // namespace

#endif

// Stacks are reserved once and reused by all launches; pages never touched cost nothing. The page below turns
// an overflow into a crash.
void Fiber::allocate(unsigned number) {
  void* memory = mmap(nullptr, kGuardBytes + kStackBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    std::perror("cuda emulation: no memory for the stack of a device thread");
    std::abort();
  }
  mprotect(memory, kGuardBytes, PROT_NONE);
  stack_ = {static_cast<char*>(memory) + kGuardBytes, kStackBytes};
  char name[32];
  std::snprintf(name, sizeof name, "threadIdx %u", number);
  tsan_fiber_ = tsan_create_fiber(name);
}

void Fiber::resume(Entry entry, unsigned number) {
  if (!stack_.bottom) allocate(number);
  if (!started_) {
    started_ = true;
    starting_entry = entry;
    make_context(context_, stack_);
  }
  scheduler_tsan_fiber = tsan_current_fiber();
  asan_before_switch(&scheduler_fake_stack, stack_);
  tsan_switch_to(tsan_fiber_);
  switch_context(scheduler_context, context_);
  asan_after_switch(scheduler_fake_stack, nullptr);
}

void Fiber::suspend() {
  asan_before_switch(&fake_stack_, scheduler_stack);
  tsan_switch_to(scheduler_tsan_fiber);
  switch_context(context_, scheduler_context);
  asan_after_switch(fake_stack_, nullptr);
}

void Fiber::abandon() {
  asan_before_switch(nullptr, scheduler_stack);
  tsan_switch_to(scheduler_tsan_fiber);
  switch_context(context_, scheduler_context);
  std::abort();  // nobody resumes an abandoned fiber
}

void Fiber::release_on_behalf(void* token) {
  if (!tsan_fiber_) return;
  // Only the detector's notion of who is running changes, the stack stays.
  void* caller = tsan_current_fiber();
  tsan_switch_to(tsan_fiber_);
  tsan_release(token);
  tsan_switch_to(caller);
}

}  // namespace cuda_emulation
