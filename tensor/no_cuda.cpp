// Device memory in a build without CUDA: there is none. The CUDA builds compile device.cu in place of this
// file.
#include "tensor/dispatch.h"

namespace dlcm {
namespace {

[[noreturn]] void refuse() {
  throw InputError("this build has no CUDA; use --device cpu");
}

}  // namespace

bool cuda_available() {
  return false;
}
void* cuda_allocate(Device, size_t) {
  refuse();
}
void cuda_free(Device, void*) {}
void cuda_copy(void*, Device, const void*, Device, size_t) {
  refuse();
}

}  // namespace dlcm
