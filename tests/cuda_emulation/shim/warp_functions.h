// Barriers, shuffles and votes. The default argument records the caller's place in the source: divergence is
// reported with file and line.
#pragma once

#include "cuda_emulation.h"

inline void __syncthreads(cuda_emulation::Location location = cuda_emulation::Location::current()) {
  cuda_emulation::barrier(location);
}

inline void __syncwarp(unsigned mask = 0xffffffffu,
                       cuda_emulation::Location location = cuda_emulation::Location::current()) {
  cuda_emulation::collective(
      mask, cuda_emulation::WarpOperation::kSync, nullptr, [](void* const*, unsigned) {},
      cuda_emulation::Ordering::kMemory, location);
}

// Nothing to do on one core; to the race detector a fence alone orders nothing, as it should be.
inline void __threadfence() {}
inline void __threadfence_block() {}

namespace cuda_emulation {

inline constexpr int kOwnLane = -1;

template <class T>
struct ShuffleRequest {
  T in;
  T out;
  int source;  // lane to read, or kOwnLane where the formula leaves the segment
};

template <class T>
void complete_shuffle(void* const* requests, unsigned mask) {
  for (int i = 0; i < warpSize; ++i) {
    if (!(mask >> i & 1)) continue;
    auto* request = static_cast<ShuffleRequest<T>*>(requests[i]);
    if (request->source == kOwnLane) continue;
    if (!(mask >> request->source & 1)) {
      fail("shuffle: lane %d reads lane %d, which is outside mask %08x", i, request->source, mask);
    }
    request->out = static_cast<ShuffleRequest<T>*>(requests[request->source])->in;
  }
}

template <class T>
T shuffle(unsigned mask, T value, int source, Location location) {
  ShuffleRequest<T> request{value, value, source};
  collective(mask, WarpOperation::kShuffle, &request, complete_shuffle<T>, Ordering::kRegistersOnly,
             location);
  return request.out;
}

struct BallotRequest {
  bool predicate;
  unsigned out;
};

inline void complete_ballot(void* const* requests, unsigned mask) {
  unsigned votes = 0;
  for (int i = 0; i < warpSize; ++i) {
    if (mask >> i & 1 && static_cast<BallotRequest*>(requests[i])->predicate) votes |= 1u << i;
  }
  for (int i = 0; i < warpSize; ++i) {
    if (mask >> i & 1) static_cast<BallotRequest*>(requests[i])->out = votes;
  }
}

}  // namespace cuda_emulation

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = warpSize,
              cuda_emulation::Location location = cuda_emulation::Location::current()) {
  const int segment = static_cast<int>(cuda_emulation::lane()) & ~(width - 1);
  return cuda_emulation::shuffle(mask, value, segment + (source & (width - 1)), location);
}

template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = warpSize,
                  cuda_emulation::Location location = cuda_emulation::Location::current()) {
  const int lane = static_cast<int>(cuda_emulation::lane());
  const int source = lane ^ lane_mask;
  const int segment_end = (lane & ~(width - 1)) + width;
  return cuda_emulation::shuffle(mask, value, source < segment_end ? source : cuda_emulation::kOwnLane,
                                 location);
}

template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = warpSize,
                   cuda_emulation::Location location = cuda_emulation::Location::current()) {
  const int lane = static_cast<int>(cuda_emulation::lane()), distance = static_cast<int>(delta);
  const bool inside = (lane & (width - 1)) + distance < width;
  return cuda_emulation::shuffle(mask, value, inside ? lane + distance : cuda_emulation::kOwnLane, location);
}

template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = warpSize,
                 cuda_emulation::Location location = cuda_emulation::Location::current()) {
  const int lane = static_cast<int>(cuda_emulation::lane()), distance = static_cast<int>(delta);
  const bool inside = (lane & (width - 1)) >= distance;
  return cuda_emulation::shuffle(mask, value, inside ? lane - distance : cuda_emulation::kOwnLane, location);
}

inline unsigned __ballot_sync(unsigned mask, int predicate,
                              cuda_emulation::Location location = cuda_emulation::Location::current()) {
  cuda_emulation::BallotRequest request{predicate != 0, 0};
  cuda_emulation::collective(mask, cuda_emulation::WarpOperation::kBallot, &request,
                             cuda_emulation::complete_ballot, cuda_emulation::Ordering::kRegistersOnly,
                             location);
  return request.out;
}

inline int __any_sync(unsigned mask, int predicate,
                      cuda_emulation::Location location = cuda_emulation::Location::current()) {
  return __ballot_sync(mask, predicate, location) != 0;
}

inline int __all_sync(unsigned mask, int predicate,
                      cuda_emulation::Location location = cuda_emulation::Location::current()) {
  return __ballot_sync(mask, predicate, location) == mask;
}
