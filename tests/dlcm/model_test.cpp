#include "dlcm/model.h"

#include <cmath>

#include <doctest/doctest.h>

#include "apps/common/config.h"
#include "autograd/grad_check.h"
#include "dlcm/training_pass.h"
#include "golden.h"
#include "op_check.h"

namespace dlcm {
namespace {

using test::Golden;

constexpr const char* kCases[] = {"default",       "decoupled_ema", "decoupled_containing",
                                  "learned_blend", "learned_ema",   "cosine",
                                  "fixed",         "each_token",    "transformer"};

std::unique_ptr<LanguageModel> model_of(const Golden& golden, DType dtype) {
  ModelConfig config = apps::parse_config(golden.config(), "golden").config.model;
  config.vocab_size = golden.tensor("parameters/embedding").size(0);
  std::unique_ptr<LanguageModel> model = make_model(config);
  golden.load(*model, dtype == DType::bf16 ? DType::f32 : dtype);
  model->round_operands(dtype);
  return model;
}

PackedBatch batch_of(const Golden& golden) {
  const Tensor cu_seqlens = golden.tensor("inputs/cu_seqlens");
  return {golden.tensor("inputs/tokens"), golden.tensor("inputs/targets"), cu_seqlens,
          Tensor::zeros({cu_seqlens.numel() - 1}, DType::i64)};
}

// NaN where nothing is predicted, as in the files.
Tensor masked(const Tensor& token_loss, const Tensor& targets) {
  const Tensor result = token_loss.to(DType::f64).clone();
  for (int64_t t = 0; t < targets.numel(); ++t) {
    if (targets.data<int32_t>()[t] < 0) result.data<double>()[t] = NAN;
  }
  return result;
}

void check_case(const std::string& name, DType dtype, double tolerance) {
  const Golden golden("dlcm.h5", name);
  const std::unique_ptr<LanguageModel> model = model_of(golden, dtype);
  const PackedBatch batch = batch_of(golden);
  const bool concepts = golden.has("inputs/b");
  ForwardOptions options;
  options.mode = Mode::train;
  if (concepts) options.boundary = golden.tensor("inputs/b");
  {
    const autograd::NoGrad no_grad;
    const ForwardOutput output = model->forward(batch, options);
    test::check_relative(model->logits(output.hidden.value()), golden.tensor("expected/logits"), tolerance,
                         name + ": logits");
    Tensor token_loss;
    model->loss(output.hidden, batch.targets, &token_loss);
    test::check_relative(masked(token_loss, batch.targets), golden.tensor("expected/token_loss"), tolerance,
                         name + ": token_loss");
    if (concepts)
      test::check_relative(output.probability, golden.tensor("expected/p"), tolerance, name + ": p");
  }
  const PassResult result = accumulate_gradients(
      *model, {batch}, options, concepts ? std::vector<Tensor>{options.boundary} : std::vector<Tensor>{});
  CHECK(result.loss == doctest::Approx(golden.number("expected/cross_entropy")).epsilon(tolerance));
  golden.check_gradients(*model, 10 * tolerance);
  if (!concepts) return;
  CHECK(std::abs(result.auxiliary_loss - golden.number("expected/auxiliary_loss")) < tolerance);
  CHECK(result.boundary_rate == doctest::Approx(golden.number("expected/boundary_rate")).epsilon(tolerance));
  CHECK(result.boundary_mean == doctest::Approx(golden.number("expected/boundary_mean")).epsilon(tolerance));
}

TEST_CASE("whole model equals the PyTorch reference: logits, losses, every gradient") {
  for (const char* name : kCases) {
    CAPTURE(name);
    check_case(name, DType::f64, 3e-7);
    check_case(name, DType::f32, 2e-5);
  }
}

struct Norms {
  double difference = 0;  // squared
  double expected = 0;
  double relative() const { return std::sqrt(difference / expected); }
};

Norms norms_of(const Tensor& found, const Tensor& expected) {
  const std::vector<double> a = found.to(DType::f64).to_vector<double>();
  const std::vector<double> b = expected.to(DType::f64).to_vector<double>();
  Norms norms;
  for (size_t i = 0; i < b.size(); ++i) {
    norms.difference += (a[i] - b[i]) * (a[i] - b[i]);
    norms.expected += b[i] * b[i];
  }
  return norms;
}

// These models are so narrow that few roundings average out: single elements are off by much more.
TEST_CASE("whole model in bf16: logits and gradients are near the reference") {
  for (const char* name : kCases) {
    CAPTURE(name);
    const Golden golden("dlcm.h5", name);
    const std::unique_ptr<LanguageModel> model = model_of(golden, DType::bf16);
    const PackedBatch batch = batch_of(golden);
    ForwardOptions options;
    options.mode = Mode::train;
    std::vector<Tensor> boundaries;
    if (golden.has("inputs/b")) boundaries = {options.boundary = golden.tensor("inputs/b")};
    {
      const autograd::NoGrad no_grad;
      const Tensor logits = model->logits(model->forward(batch, options).hidden.value());
      CHECK(norms_of(logits, golden.tensor("expected/logits")).relative() < 3e-2);
    }
    const PassResult result = accumulate_gradients(*model, {batch}, options, boundaries);
    CHECK(result.loss == doctest::Approx(golden.number("expected/cross_entropy")).epsilon(1e-2));
    Norms all;
    for (const nn::Parameter* parameter : model->parameters()) {
      CAPTURE(parameter->path());
      const Tensor expected = golden.tensor("gradients/" + parameter->path());
      const Tensor found = parameter->grad().defined() ? parameter->grad() : expected.zeros_like();
      const Norms norms = norms_of(found, expected);
      CHECK(norms.difference <= 0.2 * 0.2 * norms.expected);
      all.difference += norms.difference;
      all.expected += norms.expected;
    }
    CHECK(all.relative() < 5e-2);
  }
}

TEST_CASE("evaluation draws the reference's boundaries and losses") {
  for (const char* name : kCases) {
    if (std::string(name) == "transformer") continue;
    CAPTURE(name);
    const Golden golden("dlcm.h5", name);
    const std::unique_ptr<LanguageModel> model = model_of(golden, DType::f32);
    const PackedBatch batch = batch_of(golden);
    const autograd::NoGrad no_grad;
    const ForwardOutput output = model->forward(batch, {});
    test::check_relative(output.segmentation.boundary, golden.tensor("expected/evaluation_boundary"), 0,
                         "boundary");
    Tensor token_loss;
    model->loss(output.hidden, batch.targets, &token_loss);
    test::check_relative(masked(token_loss, batch.targets), golden.tensor("expected/evaluation_token_loss"),
                         2e-5, "loss");
  }
}

TEST_CASE("gradient check of the whole model" * doctest::test_suite("numerics")) {
  for (const char* name : {"default", "decoupled_containing", "learned_ema", "each_token", "transformer"}) {
    CAPTURE(name);
    const Golden golden("dlcm.h5", name);
    const std::unique_ptr<LanguageModel> model = model_of(golden, DType::f64);
    const PackedBatch batch = batch_of(golden);
    ForwardOptions options;
    options.mode = Mode::train;
    if (golden.has("inputs/b")) options.boundary = golden.tensor("inputs/b");
    std::vector<nn::Variable> leaves;
    for (const nn::Parameter* parameter : model->parameters()) {
      // The straight-through path has a gradient where the value does not move: no difference quotient sees
      // it.
      const bool straight_through = model->config().boundary.predictor == Predictor::learned;
      const bool before_boundary =
          parameter->path().starts_with("e") || parameter->path().starts_with("boundary/");
      if (!(straight_through && before_boundary)) leaves.push_back(parameter->variable());
    }
    autograd::GradCheckOptions check;
    check.max_elements = 5;  // of each parameter; the reference has them all
    check.step = 1e-5;
    const autograd::GradCheckResult result = autograd::grad_check_leaves(
        [&] {
          return std::vector<nn::Variable>{model->loss(model->forward(batch, options).hidden, batch.targets)};
        },
        leaves, check);
    CHECK_MESSAGE(result.passed, result.message);
  }
}

}  // namespace
}  // namespace dlcm
