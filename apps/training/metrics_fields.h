// What metrics.jsonl says of a training step and of an evaluation (README, "What a run writes").
#pragma once

#include <cstdint>
#include <vector>

#include "apps/evaluation/evaluate.h"
#include "apps/training/metrics.h"
#include "apps/training/trainer.h"
#include "data/loader.h"

namespace dlcm::apps {

struct StepSurroundings {
  int64_t tokens_seen = 0;  // with this step's
  double seconds = 0;       // that the step took
  double matrix_share = 0;
  double seconds_waited = 0;      // of `seconds`, for data
  double checkpoint_seconds = 0;  // before the step, for a checkpoint that began
};

// Loss, boundaries, rates, speed and memory.
MetricsLog::Fields step_fields(const Config& config, const StepMetrics& metrics,
                               const StepSurroundings& surroundings);

// Adds what the step read: its pieces, those that do not end their document, a checksum of their tokens,
// and what the domains have given so far.
void add_data_fields(const std::vector<data::Piece>& pieces, size_t micro_batches,
                     const std::vector<data::DomainProgress>& progress, MetricsLog::Fields& fields);

// Of all held-out text, then by domain.
MetricsLog::Fields evaluation_fields(const EvaluationResult& result, int64_t tokens_seen);

}  // namespace dlcm::apps
