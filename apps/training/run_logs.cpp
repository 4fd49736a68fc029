#include "apps/training/run_logs.h"

namespace dlcm::apps {

RunLogs::RunLogs(const std::string& folder, int64_t last_step, Samples samples)
    : metrics_(folder + "/" + kMetricsFile, last_step), events_(folder, last_step + 1) {
  if (samples == Samples::yes) samples_.emplace(folder + "/" + kSamplesFile, last_step);
}

void RunLogs::write(int64_t step, const MetricsLog::Fields& fields) {
  metrics_.write(step, fields);
  events_.write(step, fields);
}

void RunLogs::write_samples(int64_t step, const LanguageModel& model,
                            const std::vector<HeldoutSample>& samples) {
  samples_->write(step, model, samples);
}

void RunLogs::retry() {
  metrics_.retry();
  events_.retry();
  if (samples_) samples_->retry();
}

std::string RunLogs::failure() const {
  if (!metrics_.failure().empty()) return metrics_.failure();
  if (!events_.failure().empty()) return events_.failure();
  return samples_ ? samples_->failure() : "";
}

void mend_logs(const std::string& folder, int64_t last_step) {
  for (const char* name : {kMetricsFile, kSamplesFile}) {
    without_later_lines(folder + "/" + name, last_step);
  }
}

}  // namespace dlcm::apps
