#include "apps/tokenize/progress_line.h"

#include <iostream>

#include <unistd.h>

namespace dlcm::apps {

ProgressLine::ProgressLine() : terminal_(isatty(STDERR_FILENO) != 0) {}

bool ProgressLine::due() const {
  return Clock::now() - last_ >=
         (terminal_ ? std::chrono::milliseconds(200) : std::chrono::milliseconds(10000));
}

void ProgressLine::show(const std::string& text) {
  if (!due()) return;
  last_ = Clock::now();
  shown_ = true;
  std::cerr << (terminal_ ? "\r" : "") << text << (terminal_ ? "\033[K" : "\n") << std::flush;
}

void ProgressLine::end() {
  if (shown_ && terminal_) std::cerr << "\n";
  shown_ = false;
}

}  // namespace dlcm::apps
