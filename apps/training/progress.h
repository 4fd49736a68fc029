// What a user sees while a model trains: a bar on a terminal, plain lines otherwise.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace dlcm::apps {

struct ProgressState {
  int64_t step = 0;  // steps done
  double loss = 0;   // nats per token
  double bits_per_byte = 0;
  double tokens_per_concept = 0;  // 0 for a model without concepts
  double tokens_per_second = 0;
  double matrix_share = 0;  // of the machine's matrix limit that the step has reached
  int64_t steps = 0;        // of the run
  double seconds_left = 0;  // NaN: not known
};

// The state in words: step, loss, bits per byte, tokens per concept, tokens per second, share of the matrix
// limit, time left.
std::string progress_line(const ProgressState& state);
// The same behind a bar, shorter than `columns`: the bar shrinks and the names get shorter, then the bar
// and the share of the matrix limit go, and only what is still too long is cut at its end. 80 columns hold
// every other figure.
std::string progress_bar(const ProgressState& state, size_t columns);

class Progress {
 public:
  // `first_step` steps of `steps` are done already. Writes to standard error.
  Progress(int64_t first_step, int64_t steps);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Fills in `steps` and `seconds_left`.
  void update(ProgressState state);
  // A line of its own, above the bar.
  void message(const std::string& text);

 private:
  void clear_bar();

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
