#include "apps/training/metrics_fields.h"

#include <algorithm>
#include <cstdio>

#include "tensor/allocator.h"

namespace dlcm::apps {

MetricsLog::Fields step_fields(const Config& config, const StepMetrics& metrics,
                               const StepSurroundings& surroundings) {
  const double s_token = config.model.token_multiplier();
  const double s_concept = config.model.concept_multiplier();
  const MemoryStatistics memory = allocator(Device::cpu()).statistics();
  // A transformer has no concepts; its fields keep their type.
  const auto of_concepts = [&](double value) { return config.model.kind == ModelKind::dlcm ? value : 0.0; };
  return {{"tokens_seen", surroundings.tokens_seen},
          {"loss", metrics.pass.loss},
          {"aux_loss", of_concepts(metrics.pass.auxiliary_loss)},
          {"boundary_rate", of_concepts(metrics.pass.boundary_rate)},
          {"boundary_mean", of_concepts(metrics.pass.boundary_mean)},
          {"tokens_per_concept", of_concepts(metrics.pass.tokens_per_concept)},
          {"gradient_norm", metrics.gradient_norm},
          {"rate_token", metrics.factor * config.optimizer.rate_token / s_token},
          {"rate_concept", of_concepts(metrics.factor * config.optimizer.rate_concept / s_concept)},
          {"rate_other", metrics.factor * config.optimizer.rate_other},
          {"rate_boundary", of_concepts(metrics.factor * config.optimizer.rate_boundary / s_token)},
          {"alpha", of_concepts(metrics.alpha)},
          {"predicted_tokens", metrics.pass.totals.predicted_tokens},
          {"tokens_per_second", static_cast<double>(config.train.batch_tokens) / surroundings.seconds},
          {"matrix_share", surroundings.matrix_share},
          {"loader_wait", surroundings.seconds_waited / surroundings.seconds},
          {"checkpoint_seconds", surroundings.checkpoint_seconds},
          {"peak_bytes", static_cast<int64_t>(memory.peak_bytes)}};
}

namespace {

std::string checksum_text(const std::vector<data::Piece>& pieces) {
  char text[16];
  std::snprintf(text, sizeof(text), "%08x", data::checksum_of(pieces));
  return text;
}

}  // namespace

void add_data_fields(const std::vector<data::Piece>& pieces, size_t micro_batches,
                     const std::vector<data::DomainProgress>& progress, MetricsLog::Fields& fields) {
  const auto cut = std::count_if(pieces.begin(), pieces.end(),
                                 [](const data::Piece& piece) { return piece.following >= 0; });
  fields.emplace_back("pieces", static_cast<int64_t>(pieces.size()));
  fields.emplace_back("pieces_cut", static_cast<int64_t>(cut));
  fields.emplace_back("micro_batches", static_cast<int64_t>(micro_batches));
  fields.emplace_back("data_crc32", checksum_text(pieces));
  for (const data::DomainProgress& domain : progress) {
    const std::string suffix = domain.name.empty() ? "" : "/" + domain.name;
    fields.emplace_back("epochs" + suffix, domain.epochs);
    if (!domain.name.empty()) fields.emplace_back("tokens_seen" + suffix, domain.tokens);
  }
}

MetricsLog::Fields evaluation_fields(const EvaluationResult& result, int64_t tokens_seen) {
  MetricsLog::Fields fields = {{"tokens_seen", tokens_seen}};
  const auto add = [&](const EvaluationNumbers& numbers, const std::string& behind) {
    fields.insert(fields.end(), {{"heldout_loss" + behind, numbers.loss},
                                 {"heldout_bits_per_byte" + behind, numbers.bits_per_byte},
                                 {"heldout_tokens" + behind, numbers.tokens},
                                 {"heldout_tokens_per_concept" + behind, numbers.tokens_per_concept},
                                 {"heldout_boundary_rate" + behind, numbers.boundary_rate}});
  };
  add(result, "");
  for (const auto& [name, numbers] : result.domains) add(numbers, "/" + name);
  return fields;
}

}  // namespace dlcm::apps
