#include "apps/training/trainer.h"

#include <doctest/doctest.h>

#include "golden.h"
#include "tests/apps/tiny_model.h"

namespace dlcm::apps {
namespace {

using test::Golden;

// Micro-batch j of step i of the golden run.
PackedBatch batch_at(const Golden& golden, int64_t step, int64_t micro) {
  const auto part = [&](const char* name) {
    const Tensor all = golden.tensor(std::string("inputs/") + name);
    return all.slice(step, step + 1)
        .view({all.size(1), all.size(2)})
        .slice(micro, micro + 1)
        .view({all.size(2)})
        .clone();
  };
  const Tensor cu_seqlens = part("cu_seqlens");
  return {part("tokens"), part("targets"), cu_seqlens, Tensor::zeros({cu_seqlens.numel() - 1}, DType::i64)};
}

Tensor boundary_at(const Golden& golden, int64_t step, int64_t micro) {
  const Tensor all = golden.tensor("inputs/b");
  return all.slice(step, step + 1)
      .view({all.size(1), all.size(2)})
      .slice(micro, micro + 1)
      .view({all.size(2)})
      .clone();
}

double at(const Golden& golden, const std::string& name, int64_t step) {
  return golden.tensor("expected/" + name).data<double>()[step];
}

TEST_CASE("ten training steps equal the PyTorch reference") {
  const Golden golden("training.h5", "run");
  Config config =
      parse_config(golden.config(), "golden", {"train.context=24"}).config;  // pieces fit a micro-batch
  config.model.vocab_size = golden.tensor("parameters/embedding").size(0);
  Trainer trainer(config);
  for (nn::Parameter* parameter : trainer.model().parameters()) {
    parameter->value().copy_from(golden.tensor("parameters/" + parameter->path(), DType::f32));
  }
  for (int64_t step = 0; step < 10; ++step) {
    CAPTURE(step);
    const StepMetrics metrics = trainer.step(step, {batch_at(golden, step, 0), batch_at(golden, step, 1)},
                                             {boundary_at(golden, step, 0), boundary_at(golden, step, 1)});
    CHECK(metrics.pass.loss == doctest::Approx(at(golden, "cross_entropy", step)).epsilon(2e-5));
    CHECK(std::abs(metrics.pass.auxiliary_loss - at(golden, "auxiliary_loss", step)) < 2e-5);
    CHECK(metrics.pass.boundary_rate == doctest::Approx(at(golden, "boundary_rate", step)).epsilon(2e-5));
    CHECK(metrics.pass.boundary_mean == doctest::Approx(at(golden, "boundary_mean", step)).epsilon(2e-5));
    CHECK(metrics.gradient_norm == doctest::Approx(at(golden, "gradient_norm", step)).epsilon(1e-4));
    CHECK(metrics.factor == doctest::Approx(at(golden, "schedule", step)).epsilon(1e-9));
  }
  for (size_t i = 0; i < trainer.optimizer().parameters().size(); ++i) {
    const nn::Parameter& parameter = *trainer.optimizer().parameters()[i];
    const optim::AdamW::Moments& moments = trainer.optimizer().moments()[i];
    test::check_relative(parameter.value(), golden.tensor("final/parameters/" + parameter.path()), 1e-4,
                         parameter.path());
    test::check_relative(moments.m, golden.tensor("final/m/" + parameter.path()), 1e-4,
                         parameter.path() + " m");
    test::check_relative(moments.v, golden.tensor("final/v/" + parameter.path()), 1e-4,
                         parameter.path() + " v");
  }
}

TEST_CASE("a step draws its boundaries with the run's seed and the alpha of its number") {
  Config config = test::tiny_config(ModelKind::dlcm);
  config.train.seed = 7;
  std::vector<int32_t> text;
  for (int32_t i = 0; i < 500; ++i) text.push_back(i * i % 251);
  const std::vector<PackedBatch> batches = {single_document(text)};
  const auto rate_of = [&](double alpha, uint64_t seed) {
    const auto model = make_model(config.model);
    model->initialize(7);
    ForwardOptions options;
    options.mode = Mode::train;
    options.alpha = alpha;
    options.seed = seed;
    return accumulate_gradients(*model, batches, options).boundary_rate;
  };
  const BoundaryConfig& boundary = config.model.boundary;
  const std::pair<int64_t, double> ends[] = {{0, boundary.alpha},
                                             {config.schedule.steps - 1, boundary.alpha_end}};
  for (const auto& [step, alpha] : ends) {
    Trainer trainer(config);
    const StepMetrics metrics = trainer.step(step, batches);
    CHECK(metrics.alpha == doctest::Approx(alpha));
    CHECK(metrics.pass.boundary_rate == rate_of(alpha, 7));
  }
  CHECK(rate_of(boundary.alpha, 7) != rate_of(boundary.alpha_end, 7));
  CHECK(rate_of(boundary.alpha, 7) != rate_of(boundary.alpha, 1));
}

}  // namespace
}  // namespace dlcm::apps
