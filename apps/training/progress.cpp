#include "apps/training/progress.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include <sys/ioctl.h>
#include <unistd.h>

namespace dlcm::apps {
namespace {

constexpr double kSecondsBetweenLines = 5.0;  // where standard error is no terminal
constexpr int kBarWidth = 24;

std::string formatted(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof(text), format, value);
  return text;
}

size_t terminal_columns() {
  winsize size = {};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 100;
  return size.ws_col;
}

std::string bar(double share) {
  const int filled = static_cast<int>(std::lround(std::clamp(share, 0.0, 1.0) * kBarWidth));
  std::string text = "[";
  for (int i = 0; i < kBarWidth; ++i) text += i < filled ? '=' : (i == filled ? '>' : ' ');
  return text + "] ";
}

}  // namespace

std::string duration_text(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "-";
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  char text[64];
  if (whole >= 3600) {
    std::snprintf(text, sizeof(text), "%lld:%02lld:%02lld", static_cast<long long>(whole / 3600),
                  static_cast<long long>(whole / 60 % 60), static_cast<long long>(whole % 60));
  } else {
    std::snprintf(text, sizeof(text), "%lld:%02lld", static_cast<long long>(whole / 60),
                  static_cast<long long>(whole % 60));
  }
  return text;
}

Progress::Progress(int64_t first_step, int64_t steps)
    : first_step_(first_step), steps_(steps), terminal_(isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (bar_shown_) std::fputc('\n', stderr);
}

std::string Progress::line(const ProgressState& state) const {
  const double elapsed = std::chrono::duration<double>(Clock::now() - start_).count();
  const auto done = static_cast<double>(state.step - first_step_);
  const double left = done > 0 ? elapsed / done * static_cast<double>(steps_ - state.step) : NAN;
  std::string text = "step " + std::to_string(state.step) + "/" + std::to_string(steps_);
  text += formatted("  loss %.4f", state.loss) + formatted("  bits/byte %.3f", state.bits_per_byte);
  if (state.tokens_per_concept > 0) text += formatted("  tokens/concept %.2f", state.tokens_per_concept);
  return text + formatted("  %.0f tokens/s", state.tokens_per_second) + "  left " + duration_text(left);
}

void Progress::update(const ProgressState& state) {
  const std::string text = line(state);
  if (terminal_) {
    std::string shown = bar(static_cast<double>(state.step) / static_cast<double>(steps_)) + text;
    shown.resize(std::min(shown.size(), terminal_columns() - 1));
    std::fprintf(stderr, "\r\033[K%s", shown.c_str());
    std::fflush(stderr);
    bar_shown_ = true;
    return;
  }
  const Clock::time_point now = Clock::now();
  if (state.step != steps_ && std::chrono::duration<double>(now - last_line_).count() < kSecondsBetweenLines)
    return;
  last_line_ = now;
  std::fprintf(stderr, "%s\n", text.c_str());
}

void Progress::message(const std::string& text) {
  clear_bar();
  std::fprintf(stderr, "%s\n", text.c_str());
}

void Progress::clear_bar() {
  if (bar_shown_) std::fputs("\r\033[K", stderr);
  bar_shown_ = false;
}

}  // namespace dlcm::apps
