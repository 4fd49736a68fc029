// Bugs of host code: launches that a GPU refuses, pointers of the wrong side, missing synchronisation.
#include "corpus.h"

namespace {

constexpr int kSize = 64;
constexpr size_t kBytes = kSize * sizeof(float);

__global__ void fill_kernel(float* data, float value) {
  if (threadIdx.x < kSize) data[threadIdx.x] = value;
}

__global__ void fill_through_shared_kernel(float* data, float value) {
  float* shared = dlcm::dynamic_smem<float>();
  shared[threadIdx.x] = value;
  __syncthreads();
  data[threadIdx.x] = shared[threadIdx.x];
}

void too_many_threads(bool planted) {
  const corpus::DeviceArray<float> data(kSize);
  DLCM_LAUNCH(fill_kernel, 1, planted ? 2048 : 1024, 0, nullptr, data.get(), 1.0f);
  corpus::check_all(data, 1.0f);
}

void too_much_dynamic_shared(bool planted) {
  constexpr int kSharedBytes = 64 << 10;
  const corpus::DeviceArray<float> data(kSize);
  if (!planted) {
    DLCM_CUDA_CHECK(cudaFuncSetAttribute(fill_through_shared_kernel,
                                         cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes));
  }
  DLCM_LAUNCH(fill_through_shared_kernel, 1, kSize, kSharedBytes, nullptr, data.get(), 1.0f);
  corpus::check_all(data, 1.0f);
}

void host_pointer_argument(bool planted) {
  const corpus::DeviceArray<float> data(kSize);
  float host[kSize] = {};
  DLCM_LAUNCH(fill_kernel, 1, kSize, 0, nullptr, planted ? host : data.get(), 1.0f);
}

void host_dereference(bool planted) {
  const corpus::DeviceArray<float> data = corpus::zeros(kSize);
  float value = -1.0f;
  if (planted) {
    value = *static_cast<volatile float*>(data.get());
  } else {
    DLCM_CUDA_CHECK(cudaMemcpy(&value, data.get(), sizeof value, cudaMemcpyDeviceToHost));
  }
  corpus::check_value("value", 0, value, 0.0, 0);
}

void wrong_copy_kind(bool planted) {
  const corpus::DeviceArray<float> data(kSize);
  const float host[kSize] = {};
  DLCM_CUDA_CHECK(
      cudaMemcpy(data.get(), host, kBytes, planted ? cudaMemcpyDeviceToDevice : cudaMemcpyHostToDevice));
}

void copy_too_long(bool planted) {
  const corpus::DeviceArray<float> data(kSize);
  const float host[kSize + 1] = {};
  DLCM_CUDA_CHECK(cudaMemcpy(data.get(), host, planted ? sizeof host : kBytes, cudaMemcpyHostToDevice));
}

class Stream {
 public:
  Stream() { DLCM_CUDA_CHECK(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking)); }
  ~Stream() { cudaStreamDestroy(stream_); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  cudaStream_t get() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

void check_host(const float* host) {
  for (int i = 0; i < kSize; ++i) corpus::check_value("host", i, host[i], 5.0, 0);
}

void missing_stream_sync(bool planted) {
  const corpus::DeviceArray<float> data = corpus::zeros(kSize);
  float host[kSize] = {};
  const Stream stream;
  DLCM_LAUNCH(fill_kernel, 1, kSize, 0, stream.get(), data.get(), 5.0f);
  DLCM_CUDA_CHECK(cudaMemcpyAsync(host, data.get(), kBytes, cudaMemcpyDeviceToHost, stream.get()));
  if (!planted) DLCM_CUDA_CHECK(cudaStreamSynchronize(stream.get()));
  check_host(host);
}

void missing_event_wait(bool planted) {
  const corpus::DeviceArray<float> data = corpus::zeros(kSize);
  float host[kSize] = {};
  const Stream producer, consumer;
  cudaEvent_t filled = nullptr;
  DLCM_CUDA_CHECK(cudaEventCreate(&filled));
  DLCM_LAUNCH(fill_kernel, 1, kSize, 0, producer.get(), data.get(), 5.0f);
  DLCM_CUDA_CHECK(cudaEventRecord(filled, producer.get()));
  if (!planted) DLCM_CUDA_CHECK(cudaStreamWaitEvent(consumer.get(), filled));
  DLCM_CUDA_CHECK(cudaMemcpyAsync(host, data.get(), kBytes, cudaMemcpyDeviceToHost, consumer.get()));
  DLCM_CUDA_CHECK(cudaStreamSynchronize(consumer.get()));
  const std::vector<float> seen(host, host + kSize);
  DLCM_CUDA_CHECK(cudaEventDestroy(filled));
  check_host(seen.data());
}

}  // namespace

const std::vector<corpus::Case>& corpus::host_cases() {
  static const std::vector<Case> cases = {{"too_many_threads", too_many_threads},
                                          {"too_much_dynamic_shared", too_much_dynamic_shared},
                                          {"host_pointer_argument", host_pointer_argument},
                                          {"host_dereference", host_dereference},
                                          {"wrong_copy_kind", wrong_copy_kind},
                                          {"copy_too_long", copy_too_long},
                                          {"missing_stream_sync", missing_stream_sync},
                                          {"missing_event_wait", missing_event_wait}};
  return cases;
}
