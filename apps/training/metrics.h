// metrics.jsonl: one JSON object a line, one line a training step and one an evaluation, written as they
// happen.
#pragma once

#include <cstdint>
#include <fstream>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace dlcm::apps {

class MetricsLog {
 public:
  using Number = std::variant<double, int64_t>;
  using Fields = std::vector<std::pair<std::string, Number>>;

  // Opens for appending. Lines of steps after `last_step`, which a killed run may have written after its last
  // checkpoint, and a line cut in the middle are dropped first, in a new file that replaces the old one.
  MetricsLog(const std::string& path, int64_t last_step);

  // Writes {"step": step, fields...} and flushes. Numbers are in their shortest form that reads back to the
  // same bits, with a point where they are not whole by type; those that are not finite become null. Throws
  // Error where the disk takes no more.
  void write(int64_t step, const Fields& fields);
  // Waits until the disk has what was written: called before a checkpoint refers to it.
  void sync() const;

 private:
  std::string path_;
  std::ofstream out_;
};

}  // namespace dlcm::apps
