// What this machine can do at most, measured: the yardstick of every other number.
#pragma once

#include "apps/benchmark/report.h"

namespace dlcm::apps {

struct MachineLimits {
  double flops = 0;             // per second: the fastest of some square float32 products through ops::matmul
  double read_bytes = 0;        // per second: all threads sum up an array far larger than the caches
  double copy_bytes = 0;        // per second, read and written counted: they copy one half of it to the other
  int64_t fastest_product = 0;  // size of the fastest product
  double memory_bytes() const { return read_bytes > copy_bytes ? read_bytes : copy_bytes; }
};

// Spends about `seconds` on each of them.
MachineLimits measure_limits(double seconds);

// CPU, threads, build and libraries, and the limits.
FactGroup machine_facts(const MachineLimits& limits);

}  // namespace dlcm::apps
