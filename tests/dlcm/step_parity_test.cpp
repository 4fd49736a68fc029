// Prefill of any length and then steps give what one pass over the whole sequence gives (section 12), and
// what a sequence gives does not depend on those stepped with it.
#include <cmath>

#include <doctest/doctest.h>

#include "autograd/tape.h"
#include "dlcm/model.h"
#include "tensor/allocator.h"
#include "tests/dlcm/small_model.h"

namespace dlcm {
namespace {

using test::Documents;

struct Generated {
  std::vector<Tensor> logits;     // one [rows, V] per prefill or step
  std::vector<uint8_t> boundary;  // of every token; empty for a transformer
  std::unique_ptr<SequenceState> state;
};

Tensor joined(const std::vector<Tensor>& rows, int64_t width) {
  int64_t count = 0;
  for (const Tensor& row : rows) count += row.size(0);
  const Tensor all = Tensor::empty({count, width});
  int64_t begin = 0;
  for (const Tensor& row : rows) {
    all.slice(begin, begin + row.size(0)).copy_from(row);
    begin += row.size(0);
  }
  return all;
}

void prefill(const LanguageModel& model, std::span<const int32_t> tokens, Generated& sequence) {
  sequence.state = model.new_state();
  if (tokens.empty()) return;
  const ForwardOutput output = model.forward(single_document(tokens), {}, sequence.state.get());
  sequence.logits.push_back(model.logits(output.hidden.value()));
  if (output.segmentation.boundary.defined())
    sequence.boundary = output.segmentation.boundary.to_vector<uint8_t>();
}

// The next token of every sequence that has one.
bool step_all(const LanguageModel& model, const Documents& documents, std::vector<size_t>& next,
              std::vector<Generated>& sequences) {
  std::vector<int32_t> tokens;
  std::vector<SequenceState*> states;
  std::vector<size_t> rows;
  for (size_t i = 0; i < documents.size(); ++i) {
    if (next[i] == documents[i].size()) continue;
    tokens.push_back(documents[i][next[i]++]);
    states.push_back(sequences[i].state.get());
    rows.push_back(i);
  }
  if (tokens.empty()) return false;
  const StepOutput output = model.step(tokens, states);
  const Tensor logits = model.logits(output.hidden);
  for (size_t b = 0; b < rows.size(); ++b) {
    const auto row = static_cast<int64_t>(b);
    sequences[rows[b]].logits.push_back(logits.slice(row, row + 1));
    if (!output.boundary.empty()) sequences[rows[b]].boundary.push_back(output.boundary[b]);
  }
  return true;
}

// Prefills each document's first `prefilled` tokens, then steps all of them as one batch.
std::vector<Generated> generate(const LanguageModel& model, const Documents& documents,
                                const std::vector<size_t>& prefilled) {
  const autograd::NoGrad no_grad;
  std::vector<Generated> sequences(documents.size());
  std::vector<size_t> next = prefilled;
  for (size_t i = 0; i < documents.size(); ++i)
    prefill(model, std::span(documents[i]).first(prefilled[i]), sequences[i]);
  while (step_all(model, documents, next, sequences)) {
  }
  return sequences;
}

struct Seen {
  int64_t last_is_boundary = 0;  // sequences whose last token begins a concept
  int64_t last_is_inside = 0;
};

// Steps take some sums in another order than a pass does. Rounding to bf16 makes more of a last bit, and what
// attention rounds depends on that order too.
struct Tolerance {
  double logits = 1e-4;
  double probability = 0;  // how near to its threshold p may fall on the other side
};

// The whole pass with the boundaries of the steps: its logits are theirs, and its own boundaries too.
void check_whole_pass(const LanguageModel& model, const std::vector<int32_t>& document,
                      const Generated& generated, const Tolerance& tolerance) {
  const autograd::NoGrad no_grad;
  ForwardOptions options;
  if (!generated.boundary.empty()) options.boundary = Tensor::from(generated.boundary);
  const ForwardOutput whole = model.forward(single_document(document), options);
  CHECK_CLOSE(joined(generated.logits, model.config().vocab_size), model.logits(whole.hidden.value()),
              tolerance.logits);
  const BoundaryConfig& config = model.config().boundary;
  const float threshold = config.predictor == Predictor::cosine ? static_cast<float>(config.tau) : 0.5f;
  for (size_t t = 1; t < generated.boundary.size(); ++t) {
    const float p = whole.probability.data<float>()[t];
    const bool begins = config.predictor == Predictor::cosine ? p > threshold : p >= threshold;
    const bool same = begins == (generated.boundary[t] != 0);
    CHECK((same || std::abs(p - threshold) <= tolerance.probability));
  }
}

void check_split(const LanguageModel& model, const Documents& documents, const std::vector<size_t>& prefilled,
                 Seen& seen, const Tolerance& tolerance) {
  const int64_t width = model.config().vocab_size;
  const std::vector<Generated> together = generate(model, documents, prefilled);
  for (size_t i = 0; i < documents.size(); ++i) {
    CAPTURE(i);
    CAPTURE(prefilled[i]);
    check_whole_pass(model, documents[i], together[i], tolerance);
    const std::vector<Generated> alone = generate(model, {documents[i]}, {prefilled[i]});
    CHECK(test::bit_equal(joined(together[i].logits, width), joined(alone[0].logits, width)));
    const std::vector<uint8_t>& boundary = together[i].boundary;
    CHECK(boundary == alone[0].boundary);
    if (boundary.empty()) continue;
    CHECK(boundary.front() == 1);
    ++(boundary.back() != 0 ? seen.last_is_boundary : seen.last_is_inside);
  }
}

// How the weights of a model are held.
struct Weights {
  DType dtype;  // of the products' operands
  bool packed;
  Tolerance tolerance;
};
const Weights kWeights[] = {{DType::f32, false, {}},
                            {DType::f32, true, {}},
                            {DType::bf16, false, {0.05, 4e-3}},
                            {DType::bf16, true, {0.05, 4e-3}}};

std::unique_ptr<LanguageModel> model_with(const Weights& weights, const ModelConfig& config, uint64_t seed) {
  std::unique_ptr<LanguageModel> model = test::random_model(config, seed, weights.dtype);
  if (weights.packed) model->pack_operands(weights.dtype);
  return model;
}

std::vector<ModelConfig> configurations() {
  std::vector<ModelConfig> all;
  for (const Predictor predictor : test::kPredictors) {
    for (const Smoothing smoothing : test::kSmoothings) {
      for (const Weighting weighting : test::kWeightings) {
        ModelConfig config = test::small_config();
        config.boundary.predictor = predictor;
        config.smoothing = smoothing;
        config.cross_attention.weighting = weighting;
        // Every pair of these with each of the above comes up.
        config.cross_attention.rope = all.size() / 2 % 2 == 0 ? CrossRope::none : CrossRope::concept_index;
        config.cross_attention.ff = all.size() / 3 % 2 == 0 ? 0 : 12;
        all.push_back(config);
      }
    }
  }
  all.push_back(test::small_config());
  all.back().kind = ModelKind::transformer;
  for (const ModelKind kind : {ModelKind::dlcm, ModelKind::transformer}) {
    all.push_back(test::uncommon_config(kind));
  }
  return all;
}

TEST_CASE("prefill and steps equal the whole pass, ragged batches equal single sequences to the bit" *
          doctest::test_suite("numerics")) {
  for (const Weights& weights : kWeights) {
    CAPTURE(weights.dtype);
    CAPTURE(weights.packed);
    Seen seen;
    uint64_t seed = 40;
    for (const ModelConfig& config : configurations()) {
      CAPTURE(test::describe(config));
      const std::unique_ptr<LanguageModel> model = model_with(weights, config, ++seed);
      const Documents documents = test::random_documents({11, 1, 7, 10}, config.vocab_size, seed);
      check_split(*model, documents, {0, 0, 0, 0}, seen, weights.tolerance);
      check_split(*model, documents, {1, 1, 1, 9}, seen, weights.tolerance);
      check_split(*model, documents, {5, 0, 7, 2}, seen, weights.tolerance);
      check_split(*model, documents, {10, 1, 3, 10}, seen, weights.tolerance);
    }
    CHECK(seen.last_is_boundary > 50);
    CHECK(seen.last_is_inside > 50);
  }
}

// More rows than one tile of a product.
TEST_CASE("long prefills and steps equal the whole pass") {
  for (const Weights& weights : kWeights) {
    CAPTURE(weights.dtype);
    CAPTURE(weights.packed);
    Seen seen;
    for (const Predictor predictor : {Predictor::decoupled, Predictor::learned, Predictor::fixed}) {
      ModelConfig config = test::small_config();
      config.boundary.predictor = predictor;
      const std::unique_ptr<LanguageModel> model = model_with(weights, config, 9);
      const Documents documents = test::random_documents({90, 57, 64, 40}, config.vocab_size, 10);
      check_split(*model, documents, {80, 50, 33, 39}, seen, weights.tolerance);
      check_split(*model, documents, {41, 56, 63, 34}, seen, weights.tolerance);
    }
    CHECK(seen.last_is_boundary > 0);
    CHECK(seen.last_is_inside > 0);
  }
}

#ifndef __SANITIZE_ADDRESS__  // where the allocator keeps nothing
TEST_CASE("steps of another sequence take no memory from the system") {
  for (const ModelKind kind : {ModelKind::transformer, ModelKind::dlcm}) {
    ModelConfig config = test::small_config();
    config.kind = kind;
    const std::unique_ptr<LanguageModel> model = model_with({DType::bf16, true, {}}, config, 3);
    const autograd::NoGrad no_grad;
    const auto calls_of_sequence = [&] {
      const int64_t before = allocator(Device::cpu()).statistics().system_calls;
      const std::unique_ptr<SequenceState> state = model->new_state();
      SequenceState* const states[] = {state.get()};
      for (int32_t token = 0; token < 150; ++token) {
        const int32_t tokens[] = {token % 29};
        model->logits(model->step(tokens, states).hidden);
      }
      return allocator(Device::cpu()).statistics().system_calls - before;
    };
    calls_of_sequence();
    CHECK(calls_of_sequence() == 0);
  }
}
#endif

TEST_CASE("packed weights give the bits of the weights themselves") {
  const Documents documents = test::random_documents({30, 50}, 29, 12);
  for (const DType dtype : {DType::f32, DType::bf16}) {
    CAPTURE(dtype);
    const std::vector<Generated> expected =
        generate(*model_with({dtype, false, {}}, test::small_config(), 12), documents, {7, 40});
    const std::vector<Generated> found =
        generate(*model_with({dtype, true, {}}, test::small_config(), 12), documents, {7, 40});
    for (size_t i = 0; i < documents.size(); ++i) {
      CHECK(test::bit_equal(joined(found[i].logits, 29), joined(expected[i].logits, 29)));
      CHECK(found[i].boundary == expected[i].boundary);
    }
  }
}

// Steps in which some rows of the batch close a concept and others do not.
TEST_CASE("rows of a batch close their concepts at different times") {
  const std::unique_ptr<LanguageModel> model = test::random_model(test::small_config(), 5);
  const Documents documents = test::random_documents({24, 24, 24, 24}, 29, 5);
  const std::vector<Generated> sequences = generate(*model, documents, {0, 0, 0, 0});
  int64_t mixed = 0;
  for (size_t t = 1; t < 24; ++t) {
    int closing = 0;
    for (const Generated& sequence : sequences) closing += sequence.boundary[t];
    mixed += closing > 0 && closing < 4 ? 1 : 0;
  }
  CHECK(mixed > 10);
  Seen seen;
  check_split(*model, documents, {0, 5, 11, 23}, seen, {});
}

TEST_CASE("the backbone runs once for each complete concept") {
  const std::unique_ptr<LanguageModel> model = test::random_model(test::small_config(), 6);
  const Documents documents = test::random_documents({30}, 29, 6);
  for (const size_t prefilled : {size_t{0}, size_t{13}, size_t{30}}) {
    const std::vector<Generated> sequences = generate(*model, documents, {prefilled});
    int64_t concepts = 0;
    for (const uint8_t begins : sequences[0].boundary) concepts += begins;
    const auto& state = static_cast<const DlcmState&>(*sequences[0].state);
    CHECK(state.backbone.length == concepts - 1);  // the last one is open
    CHECK(state.cross_attention.concepts.length() == concepts - 1);
    CHECK(state.length == 30);
  }
}

// The state holds more rows than a cache begins with.
TEST_CASE("long sequences: caches grow") {
  ModelConfig config = test::small_config();
  config.encoder_layers = 1;
  config.backbone_layers = 1;
  config.boundary.predictor = Predictor::none;
  const std::unique_ptr<LanguageModel> model = test::random_model(config, 8);
  Seen seen;
  check_split(*model, test::random_documents({150, 90}, config.vocab_size, 8), {20, 65}, seen, {});
}

}  // namespace
}  // namespace dlcm
