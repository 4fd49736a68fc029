#include "apps/benchmark/timing.h"

#include <algorithm>

#include "tensor/check.h"

namespace dlcm::apps {

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

Timing timing_of(std::vector<double> seconds) {
  DLCM_CHECK(!seconds.empty(), "timing_of: no measurements");
  std::sort(seconds.begin(), seconds.end());
  const size_t middle = seconds.size() / 2;
  const double median =
      seconds.size() % 2 == 1 ? seconds[middle] : (seconds[middle - 1] + seconds[middle]) / 2;
  return {median, seconds.front(), seconds.back(), static_cast<int64_t>(seconds.size())};
}

Timing measure(double seconds, const std::function<void()>& body) {
  constexpr size_t kFewestRuns = 3;
  body();
  std::vector<double> measured;
  const Clock::time_point begin = Clock::now();
  while (measured.size() < kFewestRuns || seconds_since(begin) < seconds) {
    const Clock::time_point run_begin = Clock::now();
    body();
    measured.push_back(seconds_since(run_begin));
  }
  return timing_of(std::move(measured));
}

}  // namespace dlcm::apps
