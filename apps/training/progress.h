// What a user sees while a model trains: a bar on a terminal, plain lines otherwise.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace dlcm::apps {

struct ProgressState {
  int64_t step = 0;  // steps done
  double loss = 0;   // nats per token
  double bits_per_byte = 0;
  double tokens_per_concept = 0;  // 0 for a model without concepts
  double tokens_per_second = 0;
};

class Progress {
 public:
  // `first_step` steps of `steps` are done already. Writes to standard error.
  Progress(int64_t first_step, int64_t steps);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void update(const ProgressState& state);
  // A line of its own, above the bar.
  void message(const std::string& text);

 private:
  void clear_bar();
  std::string line(const ProgressState& state) const;

  using Clock = std::chrono::steady_clock;
  int64_t first_step_, steps_;
  bool terminal_;
  bool bar_shown_ = false;
  Clock::time_point start_ = Clock::now();
  Clock::time_point last_line_{};
};

// "1:05:09" or "2:07".
std::string duration_text(double seconds);

}  // namespace dlcm::apps
