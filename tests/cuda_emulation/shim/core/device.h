// Errors and the state of the one emulated device.
#pragma once

#include <string>

#include "cuda_runtime_api.h"

namespace cuda_emulation {

// A failed kernel poisons the context for the rest of the process, as on a GPU: every later call returns
// cudaErrorLaunchFailure, queued work is dropped. The first message is kept for cudaGetErrorString.
void record_failure(const std::string& message);
bool context_failed();

// What the calls of the runtime return. `set_error` also keeps the error for cudaGetLastError; an explanation
// says more than the error's own text.
cudaError_t set_error(cudaError_t error, const std::string& explanation = "");
cudaError_t context_status();

std::string to_string(const uint3& index);

}  // namespace cuda_emulation
