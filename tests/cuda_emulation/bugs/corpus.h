// A case is a small kernel or launcher that can be run with its bug or without. Both runs check their
// results, so a bug shows as an error code, a wrong result or a sanitizer's report.
#pragma once

#include <cmath>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

#include "tensor/portable.cuh"

namespace corpus {

struct Case {
  const char* name;
  void (*run)(bool planted);
};

const std::vector<Case>& reduction_cases();
const std::vector<Case>& attention_cases();
const std::vector<Case>& memory_cases();
const std::vector<Case>& thread_cases();
const std::vector<Case>& host_cases();

template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(size_t size) : size_(size) { DLCM_CUDA_CHECK(cudaMalloc(&data_, size * sizeof(T))); }
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) {
    DLCM_CUDA_CHECK(cudaMemcpy(data_, values.data(), size_ * sizeof(T), cudaMemcpyHostToDevice));
  }
  ~DeviceArray() { cudaFree(data_); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  T* get() const { return data_; }
  size_t size() const { return size_; }

  std::vector<T> read() const {
    std::vector<T> values(size_);
    DLCM_CUDA_CHECK(cudaMemcpy(values.data(), data_, size_ * sizeof(T), cudaMemcpyDeviceToHost));
    return values;
  }

 private:
  T* data_ = nullptr;
  size_t size_;
};

inline DeviceArray<float> zeros(size_t size) {
  return DeviceArray<float>(std::vector<float>(size, 0.0f));
}

inline void check_value(const char* what, size_t index, double value, double expected, double tolerance) {
  if (std::abs(value - expected) <= tolerance) return;  // false for NaN
  throw std::runtime_error("wrong result: " + std::string(what) + "[" + std::to_string(index) + "] is " +
                           std::to_string(value) + ", expected " + std::to_string(expected));
}

inline void check_all(const DeviceArray<float>& array, float expected) {
  const std::vector<float> values = array.read();
  for (size_t i = 0; i < values.size(); ++i) check_value("result", i, values[i], expected, 0);
}

// Reproducible numbers between -1 and 1.
inline std::vector<float> noise(size_t size, unsigned seed) {
  std::vector<float> values(size);
  unsigned state = seed;
  for (float& value : values) {
    state = state * 1664525u + 1013904223u;
    value = static_cast<float>(state >> 8) / 8388608.0f - 1.0f;
  }
  return values;
}

}  // namespace corpus
