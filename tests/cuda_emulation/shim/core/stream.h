// Streams: queues of work. Normally work is done as soon as it is queued; with EMU_DEFER as late as CUDA
// allows, when somebody waits for it, so that a missing wait shows.
#pragma once

#include <functional>

#include "cuda_runtime_api.h"

namespace cuda_emulation {

void enqueue(cudaStream_t stream, std::function<void()> work);
void finish_stream(cudaStream_t stream);
void finish_all_streams();

}  // namespace cuda_emulation
