#include "apps/hugging_face/qwen3_config.h"

#include <nlohmann/json.hpp>

#include <doctest/doctest.h>

#include "tests/data/temporary_folder.h"

using namespace dlcm;
using namespace dlcm::apps;
using dlcm::test::contains;
using nlohmann::json;

namespace {

// As of the smallest published one, Qwen3-0.6B, before transformers 5.
json published() {
  return json::parse(
      R"({"architectures": ["Qwen3ForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
    "bos_token_id": 151643, "eos_token_id": 151645, "head_dim": 128, "hidden_act": "silu", "hidden_size": 1024,
    "initializer_range": 0.02, "intermediate_size": 3072, "max_position_embeddings": 40960,
    "max_window_layers": 28, "model_type": "qwen3", "num_attention_heads": 16, "num_hidden_layers": 28,
    "num_key_value_heads": 8, "rms_norm_eps": 1e-06, "rope_scaling": null, "rope_theta": 1000000,
    "sliding_window": null, "tie_word_embeddings": true, "torch_dtype": "bfloat16",
    "transformers_version": "4.51.0", "use_cache": true, "use_sliding_window": false, "vocab_size": 151936})");
}

Qwen3Config read(const json& config) {
  return read_qwen3_config(data::JsonDocument("m/config.json", config.dump()).root());
}

std::string refusal(const char* key, const json& value) {
  json config = published();
  config[key] = value;
  return test::message_of<InputError>([&] { read(config); });
}

}  // namespace

TEST_CASE("qwen3 config: a published one") {
  const auto [model, positions] = read(published());
  CHECK(positions == 40960);
  CHECK(model.kind == ModelKind::transformer);
  CHECK_FALSE(model.mup.enabled);
  CHECK(model.vocab_size == 151936);
  CHECK(model.token.width == 1024);
  CHECK(model.token.heads == 16);
  CHECK(model.token.kv_heads == 8);
  CHECK(model.token.ff == 3072);
  CHECK(model.token.head_dim() == 128);
  CHECK(model.layers == 28);
  CHECK(model.rope_base == 1e6);
  CHECK(model.norm_epsilon == 1e-6);
  CHECK(model.tied_embeddings);
  // Its 0.596 billion parameters.
  CHECK(matrix_parameters(model) == doctest::Approx(596e6).epsilon(2e-3));
}

TEST_CASE("qwen3 config: what is left out, and the keys of transformers 5") {
  json config = published();
  for (const char* key : {"head_dim", "rms_norm_eps", "rope_theta", "tie_word_embeddings", "architectures",
                          "hidden_act", "max_position_embeddings"})
    config.erase(key);
  ModelConfig model = read(config).model;
  CHECK(model.token.head_dim() == 128);
  CHECK(model.norm_epsilon == 1e-6);
  CHECK(model.rope_base == 10000);
  CHECK_FALSE(model.tied_embeddings);
  config["rope_parameters"] = {{"rope_theta", 5e6}, {"rope_type", "default"}};
  config["layer_types"] = std::vector<std::string>(28, "full_attention");
  CHECK(read(config).model.rope_base == 5e6);
  config["rope_parameters"].erase("rope_theta");
  config["rope_theta"] = 7e5;
  CHECK(read(config).model.rope_base == 7e5);
}

TEST_CASE("qwen3 config: without key and value heads, as transformers takes it") {
  json config = published();
  config["num_key_value_heads"] = nullptr;
  CHECK(read(config).model.token.kv_heads == 16);
  config.erase("num_key_value_heads");
  CHECK(contains(test::message_of<InputError>([&] { read(config); }), "model.token.kv_heads = 32"));
  config["num_attention_heads"] = 64;
  CHECK(read(config).model.token.kv_heads == 32);
}

TEST_CASE("qwen3 config: what ours does not compute is refused by its key") {
  struct Case {
    const char* key;
    json value;
    std::string message;
  };
  const Case cases[] = {
      {"architectures", json::array({"Qwen3ForSequenceClassification"}),
       R"(architectures: ["Qwen3ForSequenceClassification"] is not supported; supported: Qwen3ForCausalLM)"},
      {"hidden_act", "gelu", "hidden_act: 'gelu' is not supported; supported: silu"},
      {"attention_bias", true, "attention_bias: true is not supported"},
      {"use_sliding_window", true, "use_sliding_window: true is not supported"},
      {"layer_types", std::vector<std::string>(28, "sliding_attention"),
       "layer_types[0]: 'sliding_attention' is not supported"},
      {"layer_types", json::array({"full_attention"}),
       "layer_types: there are 1, expected 28, as num_hidden_layers says"},
      {"layer_types", std::vector<std::string>(300'000, "full_attention"), "there are 300000, expected 28"},
      {"rope_scaling", {{"rope_type", "yarn"}, {"factor", 4.0}}, "rope_scaling"},
      {"rope_scaling",
       {{"type", "linear"}},
       "rope_scaling.type: 'linear' is not supported; supported: default"},
      {"architectures", std::vector<std::string>(300'000, "Qwen3"), "... is not supported; supported"},
      {"rope_parameters",
       {{"rope_type", "default"}, {"factor", 4.0}},
       "rope_parameters.factor: is not supported"},
      {"rope_parameters", {{"partial_rotary_factor", 0.5}}, "partial_rotary_factor: is not supported"},
      {"quantization_config", {{"bits", 4}}, "quantization_config: quantised weights are not supported"},
      {"hidden_size", "1024", "hidden_size: expected a whole number, found string"},
      {"hidden_size", 0, "hidden_size: found 0, allowed are 1 to 1048576"},
      {"num_hidden_layers", 5000, "num_hidden_layers: found 5000, allowed are 1 to 4096"},
      {"num_key_value_heads", 3, "model.token.kv_heads = 3 does not divide model.token.heads = 16"},
      {"head_dim", 127, "model.token.head_dim = 127: rotary embeddings need an even head dimension"},
      {"rms_norm_eps", "small", "rms_norm_eps: expected a number, found string"},
      {"rope_theta", 0.5, "model.rope_base = 0.5"},
      {"vocab_size", 1, "model.vocab_size = 1: expected"},
  };
  for (const Case& c : cases) {
    const std::string message = refusal(c.key, c.value);
    CHECK_MESSAGE(contains(message, "'m/config.json': "), message);
    CHECK_MESSAGE(contains(message, c.message), message);
    CHECK_FALSE(contains(message, "\n"));
  }
  json missing = published();
  missing.erase("intermediate_size");
  CHECK(contains(test::message_of<InputError>([&] { read(missing); }),
                 "the field 'intermediate_size' is missing"));
}
