#include "block.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <string>

#include "device.h"
#include "options.h"

uint3 threadIdx;
uint3 blockIdx;
dim3 blockDim;
dim3 gridDim;

namespace cuda_emulation {

Block block;
DeviceThread* current = nullptr;
Grid grid;

namespace {

// Two sets of fibers under the race detector: to it a fiber is a thread, and what one thread does twice is no
// race. With a single set, thread 5 of two neighbouring blocks could never race.
constexpr unsigned kFiberSets = kRaceDetection ? 2 : 1;
DeviceThread pool[kFiberSets][kMaxThreadsPerBlock];

SyncTokens slot_tokens[kSlots];
unsigned slot = 0;
// Order what the host did before the launch, and what it does after it, with all device threads.
char launch_token[8], end_token[8];

uint64_t next_random() {
  static uint64_t state = 0x9E3779B97F4A7C15ull * options().seed;
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

void mark_exited(DeviceThread& thread) {
  thread.state = ThreadState::kExited;
  block.warps[thread.index / warpSize].exited |= 1u << thread.index % warpSize;
  --block.live_count;
}

// A fiber is a loop over the blocks in which it plays a thread: entering a fiber anew is dearer than resuming
// it.
void thread_main() {
  for (;;) {
    tsan_acquire(launch_token);
    (*grid.body)();
    if (!current->copies.empty()) fail("thread exits with cp.async copies that it never waited for");
    tsan_release(end_token);
    mark_exited(*current);
    suspend_current();
  }
}

void resume(DeviceThread& thread) {
  current = &thread;
  threadIdx = thread.thread_index;
  thread.fiber.resume(thread_main, thread.index);
}

// The order in which warps, and lanes within a warp, get their turns.
struct Schedule {
  unsigned warps[kMaxWarps];
  unsigned lanes[warpSize];
  unsigned warp_count;

  explicit Schedule(unsigned thread_count) : warp_count((thread_count + warpSize - 1) / warpSize) {
    const bool reverse = options().order == Order::kReverse;
    for (unsigned i = 0; i < warp_count; ++i) warps[i] = reverse ? warp_count - 1 - i : i;
    for (unsigned i = 0; i < warpSize; ++i) lanes[i] = reverse ? warpSize - 1 - i : i;
  }

  void shuffle() {
    for (unsigned i = warp_count; i > 1; --i) std::swap(warps[i - 1], warps[next_random() % i]);
    for (unsigned i = warpSize; i > 1; --i) std::swap(lanes[i - 1], lanes[next_random() % i]);
  }
};

// Each warp in turn runs as far as it can: until all its lanes have exited, wait at a barrier or are stuck.
void run_until_blocked(const Schedule& schedule) {
  for (unsigned i = 0; i < schedule.warp_count; ++i) {
    for (bool progress = true; progress;) {
      progress = false;
      for (unsigned lane : schedule.lanes) {
        const unsigned index = schedule.warps[i] * warpSize + lane;
        if (index >= block.thread_count || block.threads[index].state != ThreadState::kReady) continue;
        resume(block.threads[index]);
        if (context_failed()) return;
        progress = true;
      }
    }
  }
}

bool same_place(const Location& a, const Location& b) {
  return a.line() == b.line() && a.column() == b.column() && std::strcmp(a.file_name(), b.file_name()) == 0;
}

// A barrier opens when every thread that has not exited stands at the same one. Exited threads are an error
// too unless EMU_RELAXED is set: hardware forgives them, the programming guide does not.
bool barrier_is_complete() {
  const Location* place = nullptr;
  for (unsigned i = 0; i < block.thread_count; ++i) {
    const DeviceThread& thread = block.threads[i];
    if (thread.state == ThreadState::kExited) continue;
    if (thread.state != ThreadState::kAtBarrier) return false;
    if (place && !same_place(*place, thread.location)) return false;
    place = &thread.location;
  }
  return block.live_count == block.thread_count || options().relaxed;
}

void open_barrier() {
  ++block.tokens->barrier.epoch;
  for (unsigned i = 0; i < block.thread_count; ++i) {
    if (block.threads[i].state == ThreadState::kAtBarrier) block.threads[i].state = ThreadState::kReady;
  }
}

void report_stuck_block() {
  std::map<std::string, int> places;
  for (unsigned i = 0; i < block.thread_count; ++i) {
    const DeviceThread& thread = block.threads[i];
    std::string place = "exited";
    if (thread.state != ThreadState::kExited) {
      place = thread.state == ThreadState::kAtBarrier ? "in __syncthreads at " : "in a warp operation at ";
      place += std::string(thread.location.file_name()) + ":" + std::to_string(thread.location.line());
    }
    ++places[place];
  }
  std::string message = "kernel " + std::string(grid.name) + " block " + to_string(blockIdx) +
                        ": barrier divergence or deadlock:";
  for (const auto& [place, count] : places)
    message += " " + std::to_string(count) + " threads " + place + ";";
  record_failure(message);
}

void begin_threads() {
  for (unsigned i = 0; i < block.thread_count; ++i) {
    DeviceThread& thread = block.threads[i];
    thread.state = ThreadState::kReady;
    thread.index = i;
    thread.thread_index = {i % blockDim.x, i / blockDim.x % blockDim.y, i / (blockDim.x * blockDim.y)};
    thread.committed_groups = 0;
  }
}

}  // namespace

void begin_grid() {
  tsan_release(launch_token);
}
void end_grid() {
  tsan_acquire(end_token);
}

void run_block() {
  slot = (slot + 1) % kSlots;
  if (slot == 0) {
    // Tokens and shared memory are used again from here on: without this, block 64 would seem to race with
    // block 0.
    tsan_acquire(end_token);
    tsan_release(launch_token);
  }
  block = Block{};
  block.threads = pool[slot % kFiberSets];
  block.tokens = &slot_tokens[slot];
  block.thread_count = block.live_count = blockDim.x * blockDim.y * blockDim.z;
  begin_shared_memory(slot, grid.dynamic_shared_bytes);
  begin_threads();

  Schedule schedule(block.thread_count);
  while (block.live_count > 0) {
    if (options().order == Order::kRandom) schedule.shuffle();
    run_until_blocked(schedule);
    if (context_failed() || block.live_count == 0) return;
    if (!barrier_is_complete()) return report_stuck_block();
    open_barrier();
  }
}

void suspend_current() {
  DeviceThread& thread = *current;
  current = nullptr;
  thread.fiber.suspend();
}

void require_kernel(const char* what) {
  if (!current) fail("%s called outside a kernel", what);
}

void barrier(Location location) {
  require_kernel("__syncthreads");
  void* token = block.tokens->barrier.now();
  current->state = ThreadState::kAtBarrier;
  current->location = location;
  tsan_release(token);
  suspend_current();
  tsan_acquire(token);
}

}  // namespace cuda_emulation
