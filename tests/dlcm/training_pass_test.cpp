#include "dlcm/training_pass.h"

#include <limits>

#include <doctest/doctest.h>

#include "tests/dlcm/small_model.h"

namespace dlcm::test {
namespace {

TEST_CASE("training pass: what a step holds, documents of one token and targets that are left out included") {
  PackedBatch first = packed({{1, 2, 3}, {4}, {5, 6}});
  first.targets.data<int32_t>()[5] = 7;  // the last document is a piece that goes on in another batch
  const StepTotals totals = totals_of({first, packed({{8, 9, 1, 2}})});
  CHECK(totals.predicted_tokens == 2 + 0 + 2 + 3);
  CHECK(totals.counted_tokens == 2 + 0 + 1 + 3);  // the first token of each does not count
  CHECK(totals.documents == 3);                   // that have any
  CHECK(totals.micro_batches == 2);
}

TEST_CASE("training pass: a step without targets or with a loss that is no number is an error") {
  ModelConfig config = small_config();
  config.kind = ModelKind::transformer;
  const std::unique_ptr<LanguageModel> model = random_model(config, 1);
  ForwardOptions options;
  options.mode = Mode::train;
  CHECK_THROWS_WITH_AS(accumulate_gradients(*model, {packed({{1}, {2}})}, options),
                       "training step: no token of the batch is to be predicted", Error);
  CHECK_THROWS_WITH_AS(accumulate_gradients(*model, {}, options),
                       "training step: no token of the batch is to be predicted", Error);
  model->parameter("unembedding").value().fill(std::numeric_limits<double>::quiet_NaN());
  CHECK_THROWS_WITH_AS(accumulate_gradients(*model, {packed({{1, 2, 3}})}, options),
                       "training step: the loss is nan; lower rates or a longer schedule.warmup may help",
                       Error);
}

}  // namespace
}  // namespace dlcm::test
