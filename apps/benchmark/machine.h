// What this machine can do at most, measured: the yardstick of every other number.
#pragma once

#include "apps/benchmark/report.h"
#include "tensor/tensor.h"

namespace dlcm::apps {

struct MachineLimits {
  double flops = 0;             // per second: the fastest of some square products through ops::matmul
  double read_bytes = 0;        // per second: of a MemoryReader
  double copy_bytes = 0;        // per second, read and written counted: they copy one half of it to the other
  int64_t fastest_product = 0;  // size of the fastest product
  int64_t largest_product = 0;  // size of the largest one that the time allowed
  double memory_bytes() const { return read_bytes > copy_bytes ? read_bytes : copy_bytes; }
};

// Reads an array far larger than the caches, all threads in order and fetching ahead: the most that anything
// takes from memory at that moment.
class MemoryReader {
 public:
  explicit MemoryReader(double seconds);          // as large as so much time for measurements allows
  double bytes_per_second(double seconds) const;  // of the fastest pass
  const Tensor& array() const { return array_; }

 private:
  Tensor array_;
};

// Spends about `seconds` on products and as much on memory. The fastest runs count: other work on the machine
// must not lower the limits. `dtype` is that of the products' operands. Below 0.05 s the array may fit the
// caches.
MachineLimits measure_limits(double seconds, DType dtype);

// Most memory that this process has had in use at once, as the system counts it (VmHWM).
int64_t largest_resident_bytes();

// CPU, threads, build and libraries, and the limits.
FactGroup machine_facts(const MachineLimits& limits);

}  // namespace dlcm::apps
