#include "apps/training/metrics_fields.h"

#include <algorithm>

#include <doctest/doctest.h>

namespace dlcm::apps {
namespace {

template <class T>
T value_of(const MetricsLog::Fields& fields, const std::string& name) {
  const auto found =
      std::find_if(fields.begin(), fields.end(), [&](const auto& field) { return field.first == name; });
  REQUIRE_MESSAGE(found != fields.end(), name);
  REQUIRE_MESSAGE(std::holds_alternative<T>(found->second), name);
  return std::get<T>(found->second);
}

TEST_CASE("metrics fields: rates by the schedule and muP, shares of the step's time") {
  Config config;
  config.model.token.width = 256;  // twice token_base
  config.optimizer.rate_token = 0.004;
  config.optimizer.rate_boundary = 0.001;
  StepMetrics metrics;
  metrics.pass.loss = 2.5;
  metrics.pass.tokens_per_concept = 3.5;
  metrics.factor = 0.5;
  const MetricsLog::Fields fields = step_fields(config, metrics, {81920, 2.0, 0.25, 0.5, 0.125});
  CHECK(value_of<int64_t>(fields, "tokens_seen") == 81920);
  CHECK(value_of<double>(fields, "loss") == 2.5);
  CHECK(value_of<double>(fields, "tokens_per_concept") == 3.5);
  CHECK(value_of<double>(fields, "rate_token") == 0.001);
  CHECK(value_of<double>(fields, "rate_boundary") == 0.00025);
  CHECK(value_of<double>(fields, "tokens_per_second") == 4096);
  CHECK(value_of<double>(fields, "matrix_share") == 0.25);
  CHECK(value_of<double>(fields, "loader_wait") == 0.25);
  CHECK(value_of<double>(fields, "checkpoint_seconds") == 0.125);
  config.model.kind = ModelKind::transformer;
  CHECK(value_of<double>(step_fields(config, metrics, {1, 1, 1, 0, 0}), "tokens_per_concept") == 0);
}

TEST_CASE("metrics fields: what a step read, by domain where there are some") {
  const std::vector<data::Piece> pieces = {{{1, 2, 3}, 4, 0}, {{5, 6}, -1, 1}};
  MetricsLog::Fields fields;
  add_data_fields(pieces, 2, {{"code", 10, 0.5}, {"prose", 30, 1.5}}, fields);
  CHECK(value_of<int64_t>(fields, "pieces") == 2);
  CHECK(value_of<int64_t>(fields, "pieces_cut") == 1);
  CHECK(value_of<int64_t>(fields, "micro_batches") == 2);
  CHECK(value_of<std::string>(fields, "data_crc32").size() == 8);
  CHECK(value_of<double>(fields, "epochs/prose") == 1.5);
  CHECK(value_of<int64_t>(fields, "tokens_seen/code") == 10);
  fields.clear();
  add_data_fields(pieces, 2, {{"", 40, 0.75}}, fields);
  CHECK(fields.back().first == "epochs");
}

TEST_CASE("metrics fields: an evaluation as a whole, then by domain") {
  EvaluationResult result;
  result.loss = 2;
  result.tokens = 50;
  EvaluationNumbers of_code;
  of_code.loss = 1.5;
  of_code.tokens_per_concept = 3.25;
  result.domains = {{"code", of_code}};
  const MetricsLog::Fields fields = evaluation_fields(result, 900);
  CHECK(value_of<int64_t>(fields, "tokens_seen") == 900);
  CHECK(value_of<double>(fields, "heldout_loss") == 2);
  CHECK(value_of<int64_t>(fields, "heldout_tokens") == 50);
  CHECK(value_of<double>(fields, "heldout_loss/code") == 1.5);
  CHECK(value_of<double>(fields, "heldout_tokens_per_concept/code") == 3.25);
}

}  // namespace
}  // namespace dlcm::apps
