// The lines of metrics.jsonl and samples.jsonl, of runs that may be under way.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "apps/report/recorded_run.h"

namespace dlcm::apps {

// The numbers of a line: its step, and each field that is a number or null (NaN), in the order of the line.
struct MetricsLine {
  int64_t step = 0;
  std::vector<std::pair<std::string, double>> fields;
};

// Calls `take` for each line of the file; it is at least as late as the one before it. A last line without
// its end, as one has that is being written, is left out where it is not whole. Throws InputError "PATH, line
// N: ..." at any other that is not what train writes.
void read_metrics_lines(const std::string& path, const std::function<void(const MetricsLine&)>& take);
void read_sample_lines(const std::string& path, const std::function<void(RecordedSample)>& take);

}  // namespace dlcm::apps
