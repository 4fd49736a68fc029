// Checkpoints written beside training: a copy of weights and moments, then a thread. Of those that are there,
// config.train.keep and keep_every say which stay.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>

#include "apps/training/metrics.h"
#include "apps/training/run_folder.h"
#include "data/checkpoint.h"

namespace dlcm::apps {

// Whether the step waits for the disk, or only for a copy in memory.
enum class SaveMode { beside_training, within_step };

// What became of a checkpoint.
struct SaveOutcome {
  int64_t step = 0;
  std::string failure;     // why it is not there, or latest.h5 does not name it: a full disk, a lost folder
  std::string warning;     // what went wrong behind that: an old checkpoint that could not be removed
  std::string not_finite;  // the tensor with values that are not finite, for which nothing was written; empty
};

// One checkpoint at a time. All functions are for the thread that trains.
class CheckpointSaver {
 public:
  CheckpointSaver(RunFolder& folder, const MetricsLog& metrics, const Config& config, SaveMode mode);
  ~CheckpointSaver();  // waits for what is being written
  CheckpointSaver(const CheckpointSaver&) = delete;
  CheckpointSaver& operator=(const CheckpointSaver&) = delete;

  // Beside training: takes the memory of the copy, on the thread, so that the first start() does not wait for
  // the system's pages. Before any start(); what comes later has the same shapes.
  void prepare(const data::Checkpoint& checkpoint);

  bool busy() const { return busy_; }  // from start() until the outcome is known here
  // Beside training: copies the tensors, which takes as many bytes again from then on, and returns. The
  // thread then syncs the metrics, writes the file under a temporary name, renames it, links latest.h5 to it
  // and removes what need not stay; it makes the folder anew where it was lost. Not while busy.
  void start(const data::Checkpoint& checkpoint);
  // The outcome of what was started, once: where it is done, nothing otherwise.
  std::optional<SaveOutcome> poll();
  // Waits for it. While busy.
  SaveOutcome wait();

 private:
  void take_copy(data::Checkpoint checkpoint);
  void write() noexcept;
  void write_files();
  void remove_old();

  RunFolder& folder_;
  const MetricsLog& metrics_;
  const Config& config_;
  SaveMode mode_;
  data::Checkpoint checkpoint_;  // beside training its tensors are the copy, whose memory stays
  bool busy_ = false;
  SaveOutcome outcome_;
  std::atomic<bool> done_ = false;
  std::thread thread_;
};

}  // namespace dlcm::apps
