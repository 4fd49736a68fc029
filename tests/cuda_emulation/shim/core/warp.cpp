// Warp operations: a rendezvous of the lanes named in a mask.
#include "block.h"

namespace cuda_emulation {
namespace {

void check_mask(const DeviceThread& thread, unsigned lanes_in_warp) {
  const char* file = thread.location.file_name();
  const unsigned line = thread.location.line(), mask = thread.mask, lane = thread.index % warpSize;
  if (!(mask >> lane & 1)) fail("%s:%u: lane %u is not in its own mask %08x", file, line, lane, mask);
  if (lanes_in_warp < warpSize && mask >> lanes_in_warp != 0) {
    fail("%s:%u: mask %08x names lanes that do not exist: the block has %u threads", file, line, mask,
         block.thread_count);
  }
  const unsigned exited = block.warps[thread.index / warpSize].exited & mask;
  if (exited) fail("%s:%u: mask %08x names lanes that have exited (%08x)", file, line, mask, exited);
}

// True once every lane of the mask waits with this same mask. Another mask is no error yet: that lane may be
// part of another group. If it stays so, the block is stuck and reported as such.
bool all_lanes_arrived(const DeviceThread& thread, const DeviceThread* lanes) {
  const unsigned waiting = block.warps[thread.index / warpSize].waiting;
  if ((waiting & thread.mask) != thread.mask) return false;
  for (unsigned i = 0; i < warpSize; ++i) {
    if (!(thread.mask >> i & 1)) continue;
    const DeviceThread& other = lanes[i];
    if (other.mask != thread.mask) return false;
    const bool same_call = other.operation == thread.operation &&
                           other.location.line() == thread.location.line() &&
                           other.location.column() == thread.location.column();
    if (!same_call) {
      fail("%s:%u: the warp operation meets a different one, at line %u in lane %u (divergence)",
           thread.location.file_name(), thread.location.line(), other.location.line(), i);
    }
  }
  return true;
}

void complete_operation(DeviceThread* lanes, unsigned mask, Completion complete, Warp& warp) {
  void* requests[warpSize] = {};
  for (unsigned i = 0; i < warpSize; ++i) {
    if (mask >> i & 1) requests[i] = lanes[i].request;
  }
  {
    // One lane reads and writes the variables of all: that is how the emulation works, not what the kernel
    // does.
    [[maybe_unused]] HiddenFromRaceDetector hidden;
    complete(requests, mask);
  }
  for (unsigned i = 0; i < warpSize; ++i) {
    if (mask >> i & 1) lanes[i].state = ThreadState::kReady;
  }
  warp.waiting &= ~mask;
}

}  // namespace

unsigned lane() {
  require_kernel("a warp operation");
  return current->index % warpSize;
}

void collective(unsigned mask, WarpOperation operation, void* request, Completion complete, Ordering ordering,
                Location location) {
  require_kernel("a warp operation");
  DeviceThread& thread = *current;
  const unsigned warp_index = thread.index / warpSize;
  Warp& warp = block.warps[warp_index];
  DeviceThread* lanes = block.threads + warp_index * warpSize;

  thread.state = ThreadState::kAtWarpOperation;
  thread.mask = mask;
  thread.operation = operation;
  thread.request = request;
  thread.location = location;
  check_mask(thread, block.thread_count - warp_index * warpSize);

  MeetingToken* meeting = nullptr;
  void* token = nullptr;
  if (kRaceDetection && ordering == Ordering::kMemory) {
    meeting = &block.tokens->warps[warp_index][mask];
    token = meeting->now();
    tsan_release(token);
  }
  warp.waiting |= 1u << thread.index % warpSize;
  if (all_lanes_arrived(thread, lanes)) {
    complete_operation(lanes, mask, complete, warp);
    if (meeting) ++meeting->epoch;
  } else {
    suspend_current();
  }
  if (meeting) tsan_acquire(token);
}

}  // namespace cuda_emulation
