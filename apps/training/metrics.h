// metrics.jsonl: one JSON object a line, one line a training step and one an evaluation, written as they
// happen.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "apps/training/append_file.h"

namespace dlcm::apps {

// Prepares a file of such lines for going on: drops those of steps after `last_step`, which a killed run may
// have written after its last checkpoint, and a line cut in the middle, in a new file that replaces the old
// one where there are any. What is no regular file, a device or a pipe, is left as it is. Returns the path.
std::string without_later_lines(const std::string& path, int64_t last_step);

class MetricsLog {
 public:
  using Value = std::variant<double, int64_t, std::string>;
  using Fields = std::vector<std::pair<std::string, Value>>;

  // Opens for appending, without later lines.
  MetricsLog(const std::string& path, int64_t last_step);

  // Writes {"step": step, fields...}. Numbers are in their shortest form that reads back to the same bits,
  // with a point where they are not whole by type; those that are not finite become null. What the disk does
  // not take is kept and written before the next line.
  void write(int64_t step, const Fields& fields);
  // Writes what waits; a file that was lost is begun anew.
  void retry() { file_.retry(); }
  // Why lines are waiting; empty where all are written.
  const std::string& failure() const { return file_.failure(); }
  // Waits until the disk has what was written: called before a checkpoint refers to it, from any thread.
  // Throws Error.
  void sync() const { file_.sync(); }

 private:
  AppendFile file_;
};

}  // namespace dlcm::apps
