#include "apps/training/trainer.h"

#include <set>

#include <doctest/doctest.h>

#include "golden.h"
#include "op_check.h"
#include "tensor/allocator.h"
#include "tests/apps/tiny_model.h"
#include "tests/paths.h"

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

// With the initial values of the golden run.
std::unique_ptr<Trainer> trainer_of(const Golden& golden, DType dtype) {
  Config config =
      parse_config(golden.config(), "golden", {"train.context=24"}).config;  // pieces fit a micro-batch
  config.model.vocab_size = golden.tensor("parameters/embedding").size(0);
  config.train.dtype = dtype;
  auto trainer = std::make_unique<Trainer>(config);
  for (nn::Parameter* parameter : trainer->model().parameters()) {
    parameter->value().copy_from(golden.tensor("parameters/" + parameter->path(), DType::f32));
  }
  trainer->model().round_operands(dtype);
  return trainer;
}

StepMetrics step_of(const Golden& golden, Trainer& trainer, int64_t step) {
  return trainer.step(step, {batch_at(golden, step, 0), batch_at(golden, step, 1)},
                      {boundary_at(golden, step, 0), boundary_at(golden, step, 1)});
}

TEST_CASE("ten training steps equal the PyTorch reference") {
  const Golden golden("training.h5", "run");
  const std::unique_ptr<Trainer> owned = trainer_of(golden, DType::f32);
  Trainer& trainer = *owned;
  for (int64_t step = 0; step < 10; ++step) {
    CAPTURE(step);
    const StepMetrics metrics = step_of(golden, trainer, step);
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

TEST_CASE("ten training steps in bf16 stay within 1 % of the reference's losses") {
  const Golden golden("training.h5", "run");
  const std::unique_ptr<Trainer> trainer = trainer_of(golden, DType::bf16);
  bool differs = false;
  for (int64_t step = 0; step < 10; ++step) {
    CAPTURE(step);
    const StepMetrics metrics = step_of(golden, *trainer, step);
    const double loss = at(golden, "cross_entropy", step);
    CHECK(metrics.pass.loss == doctest::Approx(loss).epsilon(1e-2));
    CHECK(metrics.gradient_norm == doctest::Approx(at(golden, "gradient_norm", step)).epsilon(5e-2));
    differs = differs || std::abs(metrics.pass.loss / loss - 1) > 1e-5;
  }
  CHECK(differs);  // so products did round
  for (const nn::Parameter* parameter : trainer->model().parameters()) {
    CAPTURE(parameter->path());
    CHECK(parameter->value().dtype() == DType::f32);
    if (!nn::is_rounded(parameter->role())) continue;
    CHECK(test::bit_equal(parameter->operand().value(), parameter->value().to(DType::bf16)));
  }
}

// Mean loss of the last 50 of 300 steps on the repository's text, with fixed boundaries and low rates: at the
// rates of the presets single runs part by 1 % and more (docs/architecture.md).
double loss_after_training(DType dtype, int64_t seed, const std::string& text) {
  constexpr size_t kContext = 128, kDocuments = 8;
  Config config;
  config.model.token = {64, 2, 1, 128};
  config.model.encoder_layers = config.model.decoder_layers = 1;
  config.model.backbone = {96, 2, 1, 192};
  config.model.backbone_layers = 1;
  config.model.boundary.predictor = Predictor::fixed;
  config.optimizer.rate_token = config.optimizer.rate_concept = config.optimizer.rate_other = 3e-4;
  config.schedule.steps = 300;
  config.train.seed = seed;
  config.train.context = kContext;
  config.train.batch_tokens = config.train.micro_tokens = kContext * kDocuments;
  config.train.dtype = dtype;
  Trainer trainer(config);
  double sum = 0;
  for (int64_t step = 0; step < 300; ++step) {
    std::vector<int32_t> tokens, targets, offsets = {0};
    std::vector<int64_t> samples;
    for (size_t document = 0; document < kDocuments; ++document) {
      samples.push_back(step * static_cast<int64_t>(kDocuments) + static_cast<int64_t>(document));
      const size_t begin = static_cast<size_t>(samples.back()) * 400'009 % (text.size() - kContext - 1);
      for (size_t t = begin; t < begin + kContext; ++t) {
        tokens.push_back(static_cast<uint8_t>(text[t]));
        targets.push_back(static_cast<uint8_t>(text[t + 1]));
      }
      offsets.push_back(static_cast<int32_t>(tokens.size()));
    }
    const PackedBatch batch = {Tensor::from(tokens), Tensor::from(targets), Tensor::from(offsets),
                               Tensor::from(samples)};
    const double loss = trainer.step(step, {batch}).pass.loss;
    if (step >= 250) sum += loss;
  }
  return sum / 50;
}

// In a test of its own (tests/CMakeLists.txt): it takes seconds where the build is optimised, minutes where
// not.
TEST_CASE("300 training steps in bf16 end within 0.5 % of the loss in f32" * doctest::skip()) {
  const std::string text = test::read_bytes(test::source_folder() + "/data/text/gutenberg.jsonl");
  REQUIRE(text.size() > 500'000);
  for (const int64_t seed : {1, 2, 3}) {
    CAPTURE(seed);
    const double f32 = loss_after_training(DType::f32, seed, text);
    const double bf16 = loss_after_training(DType::bf16, seed, text);
    MESSAGE("loss in f32: ", f32, ", in bf16: ", bf16);
    CHECK(f32 < 3);  // it did learn: 5.5 at the start
    CHECK(bf16 == doctest::Approx(f32).epsilon(5e-3));
    CHECK(bf16 != f32);
  }
}

#ifndef __SANITIZE_ADDRESS__  // where the allocator keeps nothing
TEST_CASE("steps of ever other numbers of concepts soon take nothing from the system" *
          doctest::test_suite("numerics")) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    Config config = test::tiny_config(ModelKind::dlcm);
    config.train.dtype = dtype;
    std::vector<int32_t> text;
    for (int32_t i = 0; i < 1500; ++i) text.push_back(i * i % 251);
    const std::vector<PackedBatch> batches = {single_document(text)};
    Trainer trainer(config);
    std::set<double> tokens_per_concept;
    const auto calls_of_steps = [&](int64_t begin, int64_t end) {
      const int64_t before = allocator(Device::cpu()).statistics().system_calls;
      for (int64_t step = begin; step < end; ++step) {
        tokens_per_concept.insert(trainer.step(step, batches).pass.tokens_per_concept);
      }
      return allocator(Device::cpu()).statistics().system_calls - before;
    };
    calls_of_steps(0, 60);
    CHECK(calls_of_steps(60, 100) <= 4);  // of an extreme number of concepts
    CHECK(tokens_per_concept.size() > 50);
  }
}
#endif

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
