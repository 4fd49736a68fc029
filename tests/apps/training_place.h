// The program `train` as a user runs it, on shards, a configuration and runs in a folder of one test.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tensor/dtype.h"
#include "tests/data/temporary_folder.h"
#include "tests/process.h"

namespace dlcm::test {

using Words = std::vector<std::string>;

// shards/ (two of training, one held out), config.toml (a tiny model, 30 steps, an evaluation every 7, a
// checkpoint every 10; products of the given dtype), and runs in folders beside them, which the functions
// below name by `run`.
struct TrainingPlace {
  TemporaryFolder folder;

  explicit TrainingPlace(DType dtype = DType::f32);

  Words command(const std::string& run, const Words& more = {}) const;
  Process start(const std::string& run, const Words& more = {}) const;
  // Runs to the end; the exit code.
  int train(const std::string& run, const Words& more = {}) const { return start(run, more).wait(); }
  // Standard error of what was started last.
  std::string error() const { return read_bytes(folder / "stderr.txt"); }
  // metrics.jsonl, empty where there is none, and how many lines it has.
  std::string metrics(const std::string& run) const { return read_bytes(folder / run + "/metrics.jsonl"); }
  size_t metrics_lines(const std::string& run) const;
  // What each step of a run has read, by step.
  std::map<int64_t, std::string> data_checksums(const std::string& run) const;
};

std::vector<std::string> lines_of(const std::string& text);

// Every file below a folder, by its path.
std::map<std::string, std::string> contents_of(const std::string& folder);

// Whether a run's checkpoints/ holds a temporary file: of a checkpoint that is being written, or was when the
// run was killed.
bool holds_temporary(const std::string& run_folder);

// Polls until the condition holds or the process has ended; whether it holds.
bool wait_until(Process& process, const std::function<bool()>& condition);

// doctest CHECKs that the last checkpoints, the metrics and the samples of two runs are the same, times and
// memory aside.
void check_same_run(const TrainingPlace& place, const std::string& found, const std::string& expected);

// doctest CHECKs that a train that ended with `code` should have, and said why in one line, its last, with
// `part` in it.
void check_refused(const TrainingPlace& place, int code, int expected, const std::string& part);

}  // namespace dlcm::test
