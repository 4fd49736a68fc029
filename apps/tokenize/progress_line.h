// How far a long work is, on standard error.
#pragma once

#include <chrono>
#include <string>

namespace dlcm::apps {

// On a terminal one line that is written over, at most five times a second; else a line every ten seconds.
class ProgressLine {
 public:
  ProgressLine();
  // Whether show() would write now.
  bool due() const;
  void show(const std::string& text);
  // Ends the line where there is one.
  void end();

 private:
  using Clock = std::chrono::steady_clock;

  bool terminal_;
  bool shown_ = false;
  Clock::time_point last_ = Clock::now();
};

}  // namespace dlcm::apps
