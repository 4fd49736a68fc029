// The block that is running: blocks of a grid run one after another, so there is never more than one.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "cuda_emulation.h"
#include "fiber.h"

namespace cuda_emulation {

inline constexpr unsigned kMaxThreadsPerBlock = 1024;
inline constexpr unsigned kMaxWarps = kMaxThreadsPerBlock / warpSize;
// What one block may have on sm_90, and what it may have without cudaFuncSetAttribute.
inline constexpr size_t kMaxSharedBytes = 227 << 10;
inline constexpr size_t kDefaultSharedBytes = 48 << 10;

enum class ThreadState : uint8_t { kReady, kAtBarrier, kAtWarpOperation, kExited };

struct AsyncCopy {
  void* destination;
  const void* source;
  int group;
};

struct DeviceThread {
  Fiber fiber;
  ThreadState state = ThreadState::kExited;
  unsigned index = 0;  // linear, in the block
  uint3 thread_index = {0, 0, 0};
  // What the thread waits for, where it waits.
  Location location;
  unsigned mask = 0;
  WarpOperation operation = WarpOperation::kSync;
  void* request = nullptr;
  // cp.async copies issued and not yet waited for.
  std::vector<AsyncCopy> copies;
  int committed_groups = 0;
};

struct Warp {
  unsigned waiting = 0;  // lanes at a warp operation
  unsigned exited = 0;   // lanes that returned from the kernel
};

// Addresses on which the race detector is told of synchronisation. Meetings use two in turn: with a single
// one, a thread that has left meeting n and arrives at n + 1 would seem to synchronise with threads still
// leaving n, and the races between the two meetings would be hidden.
struct MeetingToken {
  char address[2][8];
  unsigned epoch = 0;  // meetings held

  void* now() { return address[epoch & 1]; }
};

struct SyncTokens {
  MeetingToken barrier;
  // By mask: groups of lanes meet independently of each other, and only lanes with the same mask meet.
  std::map<unsigned, MeetingToken> warps[kMaxWarps];
};

struct Block {
  DeviceThread* threads = nullptr;
  unsigned thread_count = 0;
  unsigned live_count = 0;
  Warp warps[kMaxWarps];
  SyncTokens* tokens = nullptr;
};

extern Block block;
extern DeviceThread* current;  // null while the scheduler or host code runs

// The grid that is running.
struct Grid {
  const char* name = "";
  size_t dynamic_shared_bytes = 0;
  const std::function<void()>* body = nullptr;
};
extern Grid grid;

void begin_grid();
void run_block();
void end_grid();

// Gives the current thread's turn away until the scheduler sets its state back to kReady.
void suspend_current();
void require_kernel(const char* what);

// Shared memory of block number `slot` of those that the race detector tells apart.
inline constexpr unsigned kSlots = kRaceDetection ? 64 : 1;
void begin_shared_memory(unsigned slot, size_t dynamic_bytes);

}  // namespace cuda_emulation
