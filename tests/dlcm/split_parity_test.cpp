// However the documents of a step are split into micro-batches, and whichever way cross-attention and memory
// are arranged, the step is the same: loss, F, G, tokens per concept, every gradient (sections 5, 8 and 9).
#include <cmath>

#include <doctest/doctest.h>

#include "dlcm/training_pass.h"
#include "tests/dlcm/small_model.h"
#include "tests/golden.h"

namespace dlcm {
namespace {

using test::Documents;

// Where sums are taken in another order. Rounding to bf16 makes more of a last bit.
double tolerance_of(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return 1e-10;
    case DType::bf16:
      return 1e-2;
    default:
      return 1e-5;
  }
}

struct Step {
  PassResult result;
  std::vector<std::string> names;
  std::vector<Tensor> gradients;  // zeros where none arrived
};

ForwardOptions training_options() {
  ForwardOptions options;
  options.mode = Mode::train;
  options.alpha = 0.7;
  options.seed = 21;
  return options;
}

Step run(const ModelConfig& config, DType dtype, const std::vector<PackedBatch>& batches,
         const ForwardOptions& options = training_options()) {
  const std::unique_ptr<LanguageModel> model = test::random_model(config, 9, dtype);
  Step step;
  step.result = accumulate_gradients(*model, batches, options);
  for (const nn::Parameter* parameter : model->parameters()) {
    step.names.push_back(parameter->path());
    step.gradients.push_back(parameter->grad().defined() ? parameter->grad()
                                                         : parameter->value().zeros_like());
  }
  return step;
}

// The documents in order, cut into micro-batches of the given numbers of documents; each keeps its sample.
std::vector<PackedBatch> split(const Documents& documents, const std::vector<size_t>& counts) {
  std::vector<PackedBatch> batches;
  size_t begin = 0;
  for (const size_t count : counts) {
    const auto first = documents.begin() + static_cast<std::ptrdiff_t>(begin);
    batches.push_back(test::packed(Documents(first, first + static_cast<std::ptrdiff_t>(count)),
                                   static_cast<int64_t>(begin)));
    begin += count;
  }
  REQUIRE(begin == documents.size());
  return batches;
}

void check_equal(const Step& found, const Step& expected, double tolerance) {
  CHECK(found.result.loss == doctest::Approx(expected.result.loss).epsilon(tolerance));
  CHECK(std::abs(found.result.auxiliary_loss - expected.result.auxiliary_loss) < tolerance);
  CHECK(found.result.boundary_rate == expected.result.boundary_rate);
  CHECK(found.result.boundary_mean == doctest::Approx(expected.result.boundary_mean).epsilon(tolerance));
  CHECK(found.result.tokens_per_concept == expected.result.tokens_per_concept);
  CHECK(found.result.totals.predicted_tokens == expected.result.totals.predicted_tokens);
  CHECK(found.result.totals.counted_tokens == expected.result.totals.counted_tokens);
  for (size_t i = 0; i < expected.gradients.size(); ++i)
    test::check_relative(found.gradients[i], expected.gradients[i], tolerance, expected.names[i]);
}

// Lengths that leave micro-batches with a single token, or without one that is counted.
const std::vector<int64_t> kLengths = {7, 1, 12, 3, 9, 1, 5, 2};
const std::vector<std::vector<size_t>> kSplits = {{3, 5}, {1, 1, 6}, {2, 1, 2, 1, 2}};

void check_splits(const ModelConfig& config) {
  CAPTURE(test::describe(config));
  const Documents documents = test::random_documents(kLengths, config.vocab_size, 3);
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16}) {
    CAPTURE(dtype);
    const Step whole = run(config, dtype, split(documents, {documents.size()}));
    for (const std::vector<size_t>& counts : kSplits) {
      CAPTURE(counts.size());
      check_equal(run(config, dtype, split(documents, counts)), whole, tolerance_of(dtype));
    }
  }
}

ModelConfig with(Predictor predictor, Scope scope) {
  ModelConfig config = test::small_config();
  config.boundary.predictor = predictor;
  config.boundary.scope = scope;
  config.boundary.weight = 0.5;  // so that the auxiliary loss's part of a gradient is seen
  return config;
}

TEST_CASE("micro-batches equal one batch") {
  for (const Scope scope : {Scope::global, Scope::sequence}) {
    for (const Predictor predictor :
         {Predictor::decoupled, Predictor::cosine, Predictor::fixed, Predictor::none}) {
      check_splits(with(predictor, scope));
    }
  }
  check_splits(with(Predictor::learned, Scope::sequence));
  ModelConfig smoothed = with(Predictor::learned, Scope::sequence);
  smoothed.smoothing = Smoothing::ema;
  smoothed.cross_attention.weighting = Weighting::length;
  check_splits(smoothed);
  ModelConfig transformer = test::small_config();
  transformer.kind = ModelKind::transformer;
  check_splits(transformer);
}

TEST_CASE("the auxiliary loss reaches the boundary's projections alone, through F of the whole step") {
  const Documents documents = test::random_documents(kLengths, 29, 3);
  ModelConfig config = with(Predictor::decoupled, Scope::global);
  const Step some = run(config, DType::f64, split(documents, {2, 6}));
  config.boundary.weight = 1.0;
  const Step twice = run(config, DType::f64, split(documents, {2, 6}));
  config.boundary.weight = 0.0;
  const Step none = run(config, DType::f64, split(documents, {2, 6}));
  for (size_t i = 0; i < some.gradients.size(); ++i) {
    CAPTURE(some.names[i]);
    if (!some.names[i].starts_with("boundary/")) {
      CHECK(test::bit_equal(some.gradients[i], none.gradients[i]));
      continue;
    }
    double largest = 0;
    for (int64_t j = 0; j < some.gradients[i].numel(); ++j) {
      const double half = some.gradients[i].data<double>()[j];
      largest = std::max(largest, std::abs(half));
      CHECK(twice.gradients[i].data<double>()[j] == doctest::Approx(2 * half).epsilon(1e-12));
      CHECK(none.gradients[i].data<double>()[j] == 0);
    }
    CHECK(largest > 1e-6);
  }
}

TEST_CASE("recomputation by block gives the same gradients to the bit") {
  const Documents documents = test::random_documents(kLengths, 29, 4);
  for (const ModelKind kind : {ModelKind::dlcm, ModelKind::transformer}) {
    for (const Predictor predictor : {Predictor::decoupled, Predictor::learned}) {
      ModelConfig config = with(predictor, Scope::sequence);
      config.kind = kind;
      CAPTURE(test::describe(config));
      for (const DType dtype : {DType::f32, DType::bf16}) {
        CAPTURE(dtype);
        const Step kept = run(config, dtype, split(documents, {3, 5}));
        ForwardOptions options = training_options();
        options.recompute = nn::Recompute::block;
        const Step recomputed = run(config, dtype, split(documents, {3, 5}), options);
        CHECK(kept.result.loss == recomputed.result.loss);
        for (size_t i = 0; i < kept.gradients.size(); ++i) {
          CAPTURE(kept.names[i]);
          CHECK(test::bit_equal(kept.gradients[i], recomputed.gradients[i]));
        }
      }
    }
  }
}

TEST_CASE("dense, replicated and segment cross-attention make the same step") {
  const Documents documents = test::random_documents(kLengths, 29, 6);
  for (const Visibility visibility : {Visibility::completed, Visibility::containing}) {
    for (const Weighting weighting : test::kWeightings) {
      for (const CrossRope rope : {CrossRope::none, CrossRope::concept_index}) {
        ModelConfig config = with(Predictor::decoupled, Scope::global);
        config.cross_attention = {visibility, weighting, rope, 12, CrossImplementation::segment};
        for (const DType dtype : {DType::f64, DType::f32, DType::bf16}) {
          CAPTURE(dtype);
          config.cross_attention.implementation = CrossImplementation::segment;
          const Step expected = run(config, dtype, split(documents, {8}));
          for (const CrossImplementation implementation :
               {CrossImplementation::dense, CrossImplementation::replicated}) {
            config.cross_attention.implementation = implementation;
            CAPTURE(test::describe(config));
            // They round at different places.
            const double tolerance = dtype == DType::bf16 ? 3e-2 : tolerance_of(dtype);
            check_equal(run(config, dtype, split(documents, {8})), expected, tolerance);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace dlcm
