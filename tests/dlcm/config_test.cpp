#include "dlcm/config.h"

#include <cmath>
#include <limits>

#include <doctest/doctest.h>

#include "dlcm/language_model.h"
#include "tests/data/temporary_folder.h"
#include "tests/dlcm/small_model.h"

namespace dlcm {
namespace {

using test::contains;

// The message of check() after one change to a configuration that is right.
template <class Change>
std::string refusal(const Change& change, ModelKind kind = ModelKind::dlcm) {
  ModelConfig config = test::small_config();
  config.kind = kind;
  change(config);
  return test::message_of<InputError>([&] { check(config); });
}

TEST_CASE("the defaults and the tests' small models pass") {
  check(ModelConfig());
  check(test::small_config());
  ModelConfig config = test::small_config();
  config.decoder_layers = 0;  // cross-attention may be all that follows the concepts
  check(config);
  config.kind = ModelKind::transformer;
  config.backbone = {};  // a transformer has none
  check(config);
}

TEST_CASE("an impossible size is refused by its key, with its value") {
  struct Size {
    const char* key;
    int64_t& (*place)(ModelConfig&);
  };
  const Size sizes[] = {
      {"model.vocab_size", [](ModelConfig& c) -> int64_t& { return c.vocab_size; }},
      {"model.token.width", [](ModelConfig& c) -> int64_t& { return c.token.width; }},
      {"model.token.heads", [](ModelConfig& c) -> int64_t& { return c.token.heads; }},
      {"model.token.kv_heads", [](ModelConfig& c) -> int64_t& { return c.token.kv_heads; }},
      {"model.token.ff", [](ModelConfig& c) -> int64_t& { return c.token.ff; }},
      {"model.token.encoder_layers", [](ModelConfig& c) -> int64_t& { return c.encoder_layers; }},
      {"model.token.decoder_layers", [](ModelConfig& c) -> int64_t& { return c.decoder_layers; }},
      {"model.concept.width", [](ModelConfig& c) -> int64_t& { return c.backbone.width; }},
      {"model.concept.heads", [](ModelConfig& c) -> int64_t& { return c.backbone.heads; }},
      {"model.concept.kv_heads", [](ModelConfig& c) -> int64_t& { return c.backbone.kv_heads; }},
      {"model.concept.ff", [](ModelConfig& c) -> int64_t& { return c.backbone.ff; }},
      {"model.concept.layers", [](ModelConfig& c) -> int64_t& { return c.backbone_layers; }},
      {"model.cross_attention.ff", [](ModelConfig& c) -> int64_t& { return c.cross_attention.ff; }},
      {"mup.token_base", [](ModelConfig& c) -> int64_t& { return c.mup.token_base; }},
      {"mup.concept_base", [](ModelConfig& c) -> int64_t& { return c.mup.concept_base; }},
  };
  for (const Size& size : sizes) {
    for (const int64_t value : {int64_t{-1}, std::numeric_limits<int64_t>::min(), int64_t{1} << 40,
                                std::numeric_limits<int64_t>::max()}) {
      const std::string message = refusal([&](ModelConfig& config) { size.place(config) = value; });
      CAPTURE(message);
      CHECK(contains(message, std::string(size.key) + " = " + std::to_string(value) + ": expected"));
      CHECK_FALSE(contains(message, "\n"));
    }
  }
  for (const Size& size : sizes) {  // 0 is possible for two of them
    const std::string key = size.key;
    const std::string message = refusal([&](ModelConfig& config) { size.place(config) = 0; });
    const bool possible = key == "model.token.decoder_layers" || key == "model.cross_attention.ff";
    CHECK_MESSAGE(contains(message, possible ? "no exception" : key + " = 0"), message);
  }
  CHECK(contains(refusal([](ModelConfig& c) { c.layers = 0; }, ModelKind::transformer),
                 "model.token.layers = 0"));
}

TEST_CASE("heads must divide what they share") {
  CHECK(contains(refusal([](ModelConfig& c) { c.token.heads = 3; }),
                 "model.token.heads = 3 does not divide model.token.width = 16"));
  CHECK(contains(refusal([](ModelConfig& c) { c.backbone.kv_heads = 3; }),
                 "model.concept.kv_heads = 3 does not divide model.concept.heads = 2"));
  CHECK(contains(refusal([](ModelConfig& c) { c.token = {12, 4, 2, 8}; }), "even head dimension"));
}

TEST_CASE("numbers out of range are refused, NaN and infinity too") {
  struct Number {
    const char* key;
    double& (*place)(ModelConfig&);
    std::vector<double> wrong;
  };
  const Number numbers[] = {
      {"model.boundary.tokens_per_concept",
       [](ModelConfig& c) -> double& { return c.boundary.tokens_per_concept; },
       {1.0, 0.5, -4, 1e9}},
      {"model.boundary.tau", [](ModelConfig& c) -> double& { return c.boundary.tau; }, {-0.1, 1.1}},
      {"model.boundary.alpha", [](ModelConfig& c) -> double& { return c.boundary.alpha; }, {0, -1, 1e6}},
      {"model.boundary.alpha_end",
       [](ModelConfig& c) -> double& { return c.boundary.alpha_end; },
       {0, -1, 1e6}},
      {"model.boundary.weight", [](ModelConfig& c) -> double& { return c.boundary.weight; }, {-0.01, 1e9}},
  };
  for (const Number& number : numbers) {
    std::vector<double> wrong = number.wrong;
    wrong.insert(wrong.end(), {NAN, INFINITY, -INFINITY});
    for (const double value : wrong) {
      const std::string message = refusal([&](ModelConfig& config) { number.place(config) = value; });
      CHECK_MESSAGE(contains(message, std::string(number.key) + " = "), message);
      CHECK_MESSAGE(contains(message, "expected a number from"), message);
    }
  }
}

TEST_CASE("a model is not made from an impossible configuration") {
  ModelConfig config = test::small_config();
  config.token.heads = 5;
  CHECK_THROWS_AS(make_model(config), InputError);
}

TEST_CASE("width multipliers are width over base, 1 with muP off") {
  ModelConfig config = test::small_config();
  CHECK(config.token_multiplier() == 2.0);
  CHECK(config.concept_multiplier() == 1.5);
  config.mup.enabled = false;
  CHECK(config.token_multiplier() == 1.0);
  CHECK(config.concept_multiplier() == 1.0);
}

}  // namespace
}  // namespace dlcm
