// What a token's boundary and logits depend on: the tokens of its document up to it, and nothing else
// (sections 1, 3 and 8 of the model's description).
#include <cmath>
#include <cstring>

#include <doctest/doctest.h>

#include "autograd/tape.h"
#include "tests/dlcm/small_model.h"

namespace dlcm {
namespace {

using test::Documents;

struct Outcome {
  Tensor logits;                  // [T, V]
  std::vector<uint8_t> boundary;  // [T]; empty for a transformer
  int64_t concepts = 0;
};

Outcome outcome_of(const LanguageModel& model, const Documents& documents, Mode mode) {
  const autograd::NoGrad no_grad;
  ForwardOptions options;
  options.mode = mode;
  options.alpha = 0.5;
  options.seed = 7;
  const ForwardOutput output = model.forward(test::packed(documents), options);
  Outcome outcome;
  outcome.logits = model.logits(output.hidden.value());
  if (output.segmentation.boundary.defined()) {
    outcome.boundary = output.segmentation.boundary.to_vector<uint8_t>();
    outcome.concepts = output.segmentation.count;
  }
  return outcome;
}

// Largest difference of the logits of rows [begin, end) of one outcome and those from `other_begin` on of the
// other.
double difference(const Outcome& a, const Outcome& b, int64_t begin, int64_t end, int64_t other_begin) {
  const int64_t width = a.logits.size(1);
  const float* first = a.logits.data<float>() + begin * width;
  const float* second = b.logits.data<float>() + other_begin * width;
  double worst = 0;
  for (int64_t i = 0; i < (end - begin) * width; ++i)
    worst = std::max(worst, std::abs(static_cast<double>(first[i]) - static_cast<double>(second[i])));
  return worst;
}

bool same_boundaries(const Outcome& a, const Outcome& b, int64_t begin, int64_t end, int64_t other_begin) {
  if (a.boundary.empty()) return true;
  return std::equal(a.boundary.begin() + begin, a.boundary.begin() + end, b.boundary.begin() + other_begin);
}

struct Case {
  Documents documents;
  size_t document;  // the one that changes
  int64_t kept;     // its tokens that stay
};

// Every token of the document after the first `kept` becomes another one.
Documents changed(const Case& c, int64_t vocab_size, uint64_t seed) {
  Documents documents = c.documents;
  std::vector<int32_t>& tokens = documents[c.document];
  for (size_t t = static_cast<size_t>(c.kept); t < tokens.size(); ++t) {
    const uint64_t shift =
        random_bits(seed, RandomStream::tests, 2, t) % static_cast<uint64_t>(vocab_size - 1);
    tokens[t] = static_cast<int32_t>((static_cast<uint64_t>(tokens[t]) + 1 + shift) %
                                     static_cast<uint64_t>(vocab_size));
  }
  return documents;
}

// What is known of all rows that must not move.
struct Influence {
  double largest = 0;           // difference of logits
  double largest_of_equal = 0;  // likewise, where the number of concepts stayed the same
  int64_t equal_counts = 0;
  bool boundaries_same = true;
};

void compare(const LanguageModel& model, const Case& c, Mode mode, uint64_t seed, Influence& influence) {
  const Outcome before = outcome_of(model, c.documents, mode);
  const Outcome after = outcome_of(model, changed(c, model.config().vocab_size, seed), mode);
  int64_t begin = 0;  // of the document that changes
  for (size_t i = 0; i < c.document; ++i) begin += static_cast<int64_t>(c.documents[i].size());
  const int64_t last_kept = begin + c.kept;
  const int64_t next = begin + static_cast<int64_t>(c.documents[c.document].size());
  const int64_t end = before.logits.size(0);
  const double moved =
      std::max(difference(before, after, 0, last_kept, 0), difference(before, after, next, end, next));
  influence.largest = std::max(influence.largest, moved);
  if (before.concepts == after.concepts) {
    ++influence.equal_counts;
    influence.largest_of_equal = std::max(influence.largest_of_equal, moved);
  }
  influence.boundaries_same = influence.boundaries_same && same_boundaries(before, after, 0, last_kept, 0) &&
                              same_boundaries(before, after, next, end, next);
}

Influence influence_of_the_future(const ModelConfig& config, Mode mode, uint64_t seed,
                                  DType dtype = DType::f32) {
  const std::unique_ptr<LanguageModel> model = test::random_model(config, seed, dtype);
  const Documents documents = test::random_documents({5, 1, 17, 9}, config.vocab_size, seed);
  Influence influence;
  for (const Case& c : {Case{documents, 2, 6}, Case{documents, 2, 16}, Case{documents, 2, 0},
                        Case{documents, 0, 2}, Case{documents, 3, 1}, Case{documents, 1, 0}}) {
    compare(*model, c, mode, seed, influence);
  }
  return influence;
}

std::vector<ModelConfig> configurations() {
  std::vector<ModelConfig> all;
  for (const Predictor predictor : test::kPredictors) {
    for (const Weighting weighting : test::kWeightings) {
      for (const Smoothing smoothing : test::kSmoothings) {
        ModelConfig config = test::small_config();
        config.boundary.predictor = predictor;
        config.cross_attention.weighting = weighting;
        config.smoothing = smoothing;
        config.cross_attention.rope = all.size() % 2 == 0 ? CrossRope::none : CrossRope::concept_index;
        config.cross_attention.ff = all.size() % 4 == 0 ? 12 : 0;
        all.push_back(config);
      }
    }
  }
  all.push_back(test::small_config());
  all.back().kind = ModelKind::transformer;
  return all;
}

TEST_CASE("no boundary and no logit depends on a later token or on another document" *
          doctest::test_suite("numerics")) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    CAPTURE(dtype);
    int64_t equal_counts = 0;
    uint64_t seed = 1;
    for (const ModelConfig& config : configurations()) {
      for (const Mode mode : {Mode::evaluate, Mode::train}) {
        const std::string what = test::describe(config) + (mode == Mode::train ? ", training" : "");
        CAPTURE(what);
        const Influence influence = influence_of_the_future(config, mode, seed++, dtype);
        CHECK(influence.boundaries_same);
        CHECK(influence.largest <= 1e-5);
        CHECK(influence.largest_of_equal == 0);  // the same shapes: the same arithmetic, to the bit
        equal_counts += influence.equal_counts;
      }
    }
    CHECK(equal_counts > 100);  // so the stricter check did happen
  }
}

// More rows than one tile of a product, more keys than one of attention.
TEST_CASE("no boundary and no logit of long documents depends on a later token or on another document") {
  for (const ModelKind kind : {ModelKind::dlcm, ModelKind::transformer}) {
    ModelConfig config = test::small_config();
    config.kind = kind;
    CAPTURE(test::describe(config));
    for (const DType dtype : {DType::f32, DType::bf16}) {
      CAPTURE(dtype);
      const std::unique_ptr<LanguageModel> model = test::random_model(config, 21, dtype);
      const Documents documents = test::random_documents({300, 3, 90}, config.vocab_size, 21);
      Influence influence;
      for (const Case& c :
           {Case{documents, 0, 297}, Case{documents, 0, 299}, Case{documents, 0, 130}, Case{documents, 1, 1},
            Case{documents, 1, 2}, Case{documents, 2, 33}, Case{documents, 2, 89}}) {
        compare(*model, c, Mode::evaluate, 21, influence);
      }
      CHECK(influence.boundaries_same);
      CHECK(influence.largest <= 1e-5);
      CHECK(influence.largest_of_equal == 0);
      CHECK(influence.equal_counts >= 2);
    }
  }
}

TEST_CASE("visibility containing leaks the future, in every implementation") {
  for (const Weighting weighting : test::kWeightings) {
    for (const CrossImplementation implementation :
         {CrossImplementation::dense, CrossImplementation::replicated, CrossImplementation::segment}) {
      ModelConfig config = test::small_config();
      config.cross_attention.visibility = Visibility::containing;
      config.cross_attention.weighting = weighting;
      config.cross_attention.implementation = implementation;
      CAPTURE(test::describe(config));
      const Influence influence = influence_of_the_future(config, Mode::evaluate, 3);
      CHECK(influence.boundaries_same);
      CHECK(influence.largest > 0.05);
      config.cross_attention.visibility = Visibility::completed;
      CHECK(influence_of_the_future(config, Mode::evaluate, 3).largest <= 1e-5);
    }
  }
}

void check_documents_alone(const ModelConfig& config, DType dtype, uint64_t seed) {
  const std::unique_ptr<LanguageModel> model = test::random_model(config, seed, dtype);
  const Documents documents = test::random_documents({4, 13, 1, 6}, config.vocab_size, seed);
  const Outcome together = outcome_of(*model, documents, Mode::evaluate);
  int64_t begin = 0;
  for (const std::vector<int32_t>& document : documents) {
    const Outcome alone = outcome_of(*model, {document}, Mode::evaluate);
    const auto length = static_cast<int64_t>(document.size());
    CHECK(same_boundaries(alone, together, 0, length, begin));
    CHECK(difference(alone, together, 0, length, begin) <= 1e-5);
    begin += length;
  }
}

TEST_CASE("a document gives the same alone as among others") {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    CAPTURE(dtype);
    uint64_t seed = 500;
    for (const ModelConfig& config : configurations()) {
      CAPTURE(test::describe(config));
      check_documents_alone(config, dtype, ++seed);
    }
  }
}

TEST_CASE("the random models have boundaries that vary") {
  for (const Predictor predictor : {Predictor::decoupled, Predictor::learned, Predictor::cosine}) {
    ModelConfig config = test::small_config();
    config.boundary.predictor = predictor;
    const std::unique_ptr<LanguageModel> model = test::random_model(config, 11);
    const Outcome outcome =
        outcome_of(*model, test::random_documents({200}, config.vocab_size, 11), Mode::evaluate);
    CHECK(outcome.concepts > 40);
    CHECK(outcome.concepts < 160);
  }
}

}  // namespace
}  // namespace dlcm
