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

TEST_CASE("sizes that no model reaches are refused by key, value and range") {
  CHECK(refusal([](ModelConfig& c) { c.encoder_layers = 4097; }) ==
        "model.token.encoder_layers = 4097: expected a whole number from 1 to 4096");
  CHECK(refusal([](ModelConfig& c) { c.decoder_layers = 1 << 20; }) ==
        "model.token.decoder_layers = 1048576: expected a whole number from 0 to 4096");
  CHECK(refusal([](ModelConfig& c) { c.backbone_layers = 4097; }) ==
        "model.concept.layers = 4097: expected a whole number from 1 to 4096");
  CHECK(refusal([](ModelConfig& c) { c.layers = 4097; }, ModelKind::transformer) ==
        "model.token.layers = 4097: expected a whole number from 1 to 4096");
  CHECK(refusal([](ModelConfig& c) { c.token.width = 1 << 21; }) ==
        "model.token.width = 2097152: expected a whole number from 1 to 1048576");
}

TEST_CASE("more parameters than a program can address are refused by the key that brings most") {
  const auto huge = [](StackConfig& stack) { stack = {1 << 20, 1024, 1024, 1 << 20}; };
  for (const ModelKind kind : {ModelKind::dlcm, ModelKind::transformer}) {
    const std::string message = refusal(
        [&](ModelConfig& c) {
          huge(c.token);
          c.layers = c.encoder_layers = c.decoder_layers = 4096;
        },
        kind);
    CHECK_MESSAGE(contains(message, "model.token.width = 1048576: the whole model would have "), message);
    CHECK_MESSAGE(contains(message, "expected at most 3.51844e+13"), message);
  }
  const std::string message = refusal([&](ModelConfig& c) {
    huge(c.backbone);
    c.backbone_layers = 4096;
  });
  CHECK_MESSAGE(contains(message, "model.concept.width = 1048576: the whole model"), message);
}

TEST_CASE("parameters counted from the sizes are nearly all of the model's, and never more") {
  for (const ModelKind kind : {ModelKind::dlcm, ModelKind::transformer}) {
    ModelConfig config;
    config.kind = kind;
    config.layers = 12;
    config.vocab_size = 32000;
    config.encoder_layers = 6;
    config.token = {512, 8, 2, 1536};
    double all = 0;
    const auto model = make_model(config);
    for (const nn::Parameter* parameter : model->parameters()) {
      all += static_cast<double>(parameter->shape().numel());
    }
    CHECK(matrix_parameters(config) <= all);
    CHECK(matrix_parameters(config) >= 0.95 * all);
    config.tied_embeddings = true;
    CHECK(matrix_parameters(config) == doctest::Approx(all - 32000.0 * 512).epsilon(0.05));
  }
}

TEST_CASE("heads must divide what they share") {
  CHECK(contains(refusal([](ModelConfig& c) { c.token.heads = 3; }),
                 "model.token.heads = 3 does not divide model.token.width = 16"));
  CHECK(contains(refusal([](ModelConfig& c) { c.backbone.kv_heads = 3; }),
                 "model.concept.kv_heads = 3 does not divide model.concept.heads = 2"));
  CHECK(contains(refusal([](ModelConfig& c) { c.token = {12, 4, 2, 8}; }), "even head dimension"));
}

TEST_CASE("heads of their own width need not divide the model's, but must be even") {
  const auto own = [](int64_t head_dim) {
    return [=](ModelConfig& c) { c.token = {15, 4, 2, 8, head_dim}; };
  };
  CHECK(contains(refusal(own(6)), "no exception"));
  CHECK(refusal(own(7)) == "model.token.head_dim = 7: rotary embeddings need an even head dimension");
  CHECK(refusal(own(-2)) == "model.token.head_dim = -2: expected a whole number from 0 to 262144");
  CHECK(refusal(own(262146)) == "model.token.head_dim = 262146: expected a whole number from 0 to 262144");
  CHECK(contains(refusal([](ModelConfig& c) { c.backbone.own_head_dim = 5; }), "model.concept.head_dim = 5"));
}

TEST_CASE("numbers out of range are refused, NaN and infinity too") {
  struct Number {
    const char* key;
    double& (*place)(ModelConfig&);
    std::vector<double> wrong;
  };
  const Number numbers[] = {
      {"model.rope_base", [](ModelConfig& c) -> double& { return c.rope_base; }, {0.5, -1, 2e12}},
      {"model.norm_epsilon", [](ModelConfig& c) -> double& { return c.norm_epsilon; }, {-1e-9, 1.5}},
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
