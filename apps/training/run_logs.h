// What a run adds to as it goes on: metrics.jsonl, TensorBoard's event file and samples.jsonl. A disk that is
// full or away for a while costs nothing of them: what it does not take waits for the next write or retry().
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/training/event_file.h"
#include "apps/training/metrics.h"
#include "apps/training/samples.h"

namespace dlcm::apps {

inline constexpr char kMetricsFile[] = "metrics.jsonl";
inline constexpr char kSamplesFile[] = "samples.jsonl";

// Whether the run shows held-out text in concepts: not where its model has none, or nothing is held out.
enum class Samples { no, yes };

class RunLogs {
 public:
  // Opens for going on behind `last_step`, without what the files have of later steps. Throws Error.
  RunLogs(const std::string& folder, int64_t last_step, Samples samples);

  // A line of metrics.jsonl and its scalars.
  void write(int64_t step, const MetricsLog::Fields& fields);
  bool has_samples() const { return samples_.has_value(); }
  // Where there are any.
  void write_samples(int64_t step, const LanguageModel& model, const std::vector<HeldoutSample>& samples);

  void retry();
  // Why something is waiting; empty where all is written.
  std::string failure() const;
  const MetricsLog& metrics() const { return metrics_; }

 private:
  MetricsLog metrics_;
  EventFile events_;
  std::optional<SampleLog> samples_;
};

// For a run that does not go on: drops lines that were cut in the middle or are none, as opening the logs
// would. A file that is as it should be is not touched.
void mend_logs(const std::string& folder, int64_t last_step);

}  // namespace dlcm::apps
