#include "data/step_reader.h"

#include <chrono>
#include <utility>

namespace dlcm::data {

StepReader::StepReader(Loader& loader)
    : loader_(loader), cursor_(loader.cursor()), progress_(loader.progress()) {
  read_ahead();
}

void StepReader::read_ahead() {
  ahead_ = std::async(std::launch::async, [this] {
    Step step;
    step.pieces = loader_.next_step();
    step.cursor = loader_.cursor();
    step.progress = loader_.progress();
    return step;
  });
}

std::vector<Piece> StepReader::next_step() {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  Step step;
  try {
    step = ahead_.get();
  } catch (...) {
    loader_.seek(cursor_);  // the next call tries again
    read_ahead();
    throw;
  }
  seconds_waited_ = std::chrono::duration<double>(Clock::now() - begin).count();
  cursor_ = std::move(step.cursor);
  progress_ = std::move(step.progress);
  read_ahead();
  return std::move(step.pieces);
}

}  // namespace dlcm::data
