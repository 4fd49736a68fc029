// The steps of a Loader, read one ahead on a thread of their own: training does not wait for the disk.
#pragma once

#include <future>
#include <vector>

#include "data/loader.h"

namespace dlcm::data {

class StepReader {
 public:
  // Begins to read the step at the loader's position. From here on the loader is this object's: its position
  // runs ahead, and only what does not move may be asked of it.
  explicit StepReader(Loader& loader);

  // What Loader::next_step gives; throws what it threw while the step was read.
  std::vector<Piece> next_step();

  // The position behind the steps that next_step has given, for a checkpoint.
  const std::vector<int64_t>& cursor() const { return cursor_; }
  // What the domains have given up to there.
  const std::vector<DomainProgress>& progress() const { return progress_; }
  // What the last next_step waited.
  double seconds_waited() const { return seconds_waited_; }

 private:
  struct Step {
    std::vector<Piece> pieces;
    std::vector<int64_t> cursor;  // behind it
    std::vector<DomainProgress> progress;
  };
  void read_ahead();

  Loader& loader_;
  std::vector<int64_t> cursor_;
  std::vector<DomainProgress> progress_;
  double seconds_waited_ = 0;
  std::future<Step> ahead_;
};

}  // namespace dlcm::data
