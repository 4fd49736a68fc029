#include "stream.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <vector>

#include "device.h"
#include "memory.h"
#include "options.h"

struct CUstream_st {
  std::deque<std::function<void()>> queue;
  bool blocking = true;  // ordered with the default stream
};

struct CUevent_st {
  cudaStream_t stream = nullptr;  // of the latest record
  long recorded = 0;              // how often it was recorded
  long reached = 0;               // the latest record that its stream has reached
  std::chrono::steady_clock::time_point time;
};

namespace cuda_emulation {
namespace {

// Never destroyed: static objects of the program may still use streams after this file's would be gone.
CUstream_st& default_stream = *new CUstream_st;
std::vector<cudaStream_t>& created_streams = *new std::vector<cudaStream_t>;

cudaStream_t resolve(cudaStream_t stream) {
  return stream ? stream : &default_stream;
}

void run_now(const std::function<void()>& work) {
  if (context_failed()) return;
  DeviceMemoryAccess access;
  work();
}

void run_next(cudaStream_t stream) {
  const std::function<void()> work = std::move(stream->queue.front());
  stream->queue.pop_front();
  run_now(work);
}

void drain(cudaStream_t stream) {
  while (!stream->queue.empty()) run_next(stream);
}

void drain_blocking_streams() {
  for (cudaStream_t stream : created_streams) {
    if (stream->blocking) drain(stream);
  }
}

void run_until_reached(cudaEvent_t event, long record) {
  while (event->reached < record && !event->stream->queue.empty()) run_next(event->stream);
}

}  // namespace

void enqueue(cudaStream_t stream, std::function<void()> work) {
  stream = resolve(stream);
  if (!options().defer) return run_now(work);
  // The default stream waits for all blocking streams, and they for it.
  if (stream == &default_stream) {
    drain_blocking_streams();
  } else if (stream->blocking) {
    drain(&default_stream);
  }
  stream->queue.push_back(std::move(work));
}

void finish_stream(cudaStream_t stream) {
  if (!stream) drain_blocking_streams();
  drain(resolve(stream));
}

// The latest stream first: what an earlier one should have waited for by an event comes too late for it.
void finish_all_streams() {
  for (size_t i = created_streams.size(); i-- > 0;) drain(created_streams[i]);
  drain(&default_stream);
}

}  // namespace cuda_emulation

using namespace cuda_emulation;

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  *stream = new CUstream_st;
  (*stream)->blocking = (flags & cudaStreamNonBlocking) == 0;
  created_streams.push_back(*stream);
  return context_status();
}

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const auto found = std::find(created_streams.begin(), created_streams.end(), stream);
  if (found == created_streams.end()) return set_error(cudaErrorInvalidValue);
  drain(stream);
  created_streams.erase(found);
  delete stream;
  return context_status();
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  finish_stream(stream);
  return context_status();
}

// Waits for the record made before this call, not for one made before the work runs.
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  const long record = event->recorded;
  enqueue(stream, [=] { run_until_reached(event, record); });
  return context_status();
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st;
  return context_status();
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  finish_all_streams();  // queued work may still name it
  delete event;
  return context_status();
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const long record = ++event->recorded;
  event->stream = resolve(stream);
  enqueue(stream, [=] {
    event->reached = std::max(event->reached, record);
    event->time = std::chrono::steady_clock::now();
  });
  return context_status();
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  run_until_reached(event, event->recorded);
  return context_status();
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  *milliseconds = std::chrono::duration<float, std::milli>(end->time - begin->time).count();
  return context_status();
}
