#include "apps/training/progress.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include <sys/ioctl.h>
#include <unistd.h>

namespace dlcm::apps {
namespace {

constexpr double kSecondsBetweenLines = 5.0;  // where standard error is no terminal
constexpr size_t kUnknownColumns = 80;
constexpr size_t kLongestBar = 24;  // cells between its brackets
constexpr size_t kShortestBar = 4;
constexpr size_t kBracketsAndSpace = 3;

// How the figures are named, the longest names first.
struct Labels {
  const char* gap;
  const char* step;
  const char* bits_per_byte;
  const char* tokens_per_concept;
  const char* tokens_per_second;
  const char* matrix_share;  // null: left out
};
constexpr Labels kLabels[] = {
    {"  ", "step ", "bits/byte", "tokens/concept", "tokens/s", " % of matrix limit"},
    {" ", "step ", "bits/B", "tok/con", "tok/s", "% limit"},
    {" ", "", "bpb", "t/c", "t/s", "%"},
    {" ", "", "bpb", "t/c", "t/s", nullptr}};

std::string formatted(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof(text), format, value);
  return text;
}

size_t terminal_columns() {
  winsize size = {};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kUnknownColumns;
  return size.ws_col;
}

std::string bar(double share, size_t cells) {
  const auto filled =
      static_cast<size_t>(std::lround(std::clamp(share, 0.0, 1.0) * static_cast<double>(cells)));
  std::string text = "[";
  for (size_t i = 0; i < cells; ++i) text += i < filled ? '=' : (i == filled ? '>' : ' ');
  return text + "] ";
}

std::string figures(const ProgressState& state, const Labels& labels) {
  const std::string gap = labels.gap;
  std::string text = labels.step + std::to_string(state.step) + "/" + std::to_string(state.steps);
  text += gap + "loss" + formatted(" %.4f", state.loss);
  text += gap + labels.bits_per_byte + formatted(" %.3f", state.bits_per_byte);
  if (state.tokens_per_concept > 0)
    text += gap + labels.tokens_per_concept + formatted(" %.2f", state.tokens_per_concept);
  text += gap + formatted("%.0f ", state.tokens_per_second) + labels.tokens_per_second;
  if (labels.matrix_share != nullptr)
    text += gap + formatted("%.0f", 100 * state.matrix_share) + labels.matrix_share;
  return text + gap + "left " + duration_text(state.seconds_left);
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

std::string progress_line(const ProgressState& state) {
  return figures(state, kLabels[0]);
}

std::string progress_bar(const ProgressState& state, size_t columns) {
  const size_t room = columns - std::min<size_t>(columns, 1);  // a full line would wrap
  std::string text;
  for (const Labels& labels : kLabels) {
    text = figures(state, labels);
    if (text.size() + kShortestBar + kBracketsAndSpace > room) continue;
    const size_t cells = std::min(kLongestBar, room - text.size() - kBracketsAndSpace);
    return bar(static_cast<double>(state.step) / static_cast<double>(state.steps), cells) + text;
  }
  return text.substr(0, room);
}

Progress::Progress(int64_t first_step, int64_t steps)
    : first_step_(first_step), steps_(steps), terminal_(isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (bar_shown_) std::fputc('\n', stderr);
}

void Progress::update(ProgressState state) {
  const double elapsed = std::chrono::duration<double>(Clock::now() - start_).count();
  const auto done = static_cast<double>(state.step - first_step_);
  state.steps = steps_;
  state.seconds_left = done > 0 ? elapsed / done * static_cast<double>(steps_ - state.step) : NAN;
  if (terminal_) {
    std::fprintf(stderr, "\r\033[K%s", progress_bar(state, terminal_columns()).c_str());
    std::fflush(stderr);
    bar_shown_ = true;
    return;
  }
  const Clock::time_point now = Clock::now();
  if (state.step != steps_ && std::chrono::duration<double>(now - last_line_).count() < kSecondsBetweenLines)
    return;
  last_line_ = now;
  std::fprintf(stderr, "%s\n", progress_line(state).c_str());
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
