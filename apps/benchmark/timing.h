// Repeated measurements of wall-clock time.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <vector>

namespace dlcm::apps {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin);

// Seconds of each of `runs` repetitions.
struct Timing {
  double median = 0;
  double smallest = 0;
  double largest = 0;
  int64_t runs = 0;
};

// Of at least one measurement.
Timing timing_of(std::vector<double> seconds);

// Runs the body once to warm up, then at least three times and until `seconds` are over.
Timing measure(double seconds, const std::function<void()>& body);

}  // namespace dlcm::apps
