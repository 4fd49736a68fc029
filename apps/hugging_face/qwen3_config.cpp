#include "apps/hugging_face/qwen3_config.h"

#include <limits>

#include "apps/hugging_face/names.h"
#include "tensor/check.h"

namespace dlcm::apps {
namespace {

using data::JsonValue;

// What `transformers` takes where the key is left out.
constexpr int64_t kDefaultHeadDim = 128;
constexpr int64_t kDefaultKeyValueHeads = 32;
constexpr double kDefaultRopeBase = 10000;
constexpr double kDefaultEpsilon = 1e-6;
constexpr int64_t kDefaultPositions = 32768;

constexpr char kPartialRotary[] = "partial_rotary_factor";

int64_t size_at(const JsonValue& json, const char* key, int64_t most = kLargestSize) {
  return json[key].integer(1, most);
}

double number_or(const JsonValue& json, const char* key, double otherwise) {
  return json.has(key) ? json[key].number() : otherwise;
}

void refuse_true(const JsonValue& json, const char* key) {
  if (json.boolean_or(key, false)) json[key].refuse("true is not supported; supported: false");
}

// {"rope_theta": 1e6, "rope_type": "default"}, in files of before transformers 5 rope_scaling with the kind
// alone: positions that are stretched are another model.
double rope_base_in(const JsonValue& rope, double otherwise) {
  for (const char* key : {"rope_type", "type"}) {
    if (rope.has(key) && rope[key].string() != "default")
      rope[key].refuse_name(rope[key].string(), {"default"});
  }
  for (const auto [key, value] : rope.object()) {
    const bool known = key == "rope_type" || key == "type" || key == "rope_theta" || key == kPartialRotary;
    if (!known) rope[key].refuse("is not supported; supported: rope_theta with rope_type 'default'");
  }
  if (number_or(rope, kPartialRotary, 1) != 1) rope[kPartialRotary].refuse("is not supported; supported: 1");
  return number_or(rope, "rope_theta", otherwise);
}

double rope_base_of(const JsonValue& json) {
  double base = number_or(json, "rope_theta", kDefaultRopeBase);
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (json.has(key)) base = rope_base_in(json[key], base);
  }
  return base;
}

void refuse_other_computations(const JsonValue& json) {
  if (json.has("architectures")) {
    const JsonValue list = json["architectures"];
    bool found = false;
    for (const JsonValue& name : list.elements()) found |= name.string() == kQwen3Architecture;
    if (!found)
      list.refuse(concat(data::shown(list.dump()), " is not supported; supported: ", kQwen3Architecture));
  }
  if (json.has("hidden_act") && json["hidden_act"].string() != "silu")
    json["hidden_act"].refuse_name(json["hidden_act"].string(), {"silu"});
  refuse_true(json, "attention_bias");
  refuse_true(json, "use_sliding_window");
  if (json.has("quantization_config"))
    json["quantization_config"].refuse(
        "quantised weights are not supported; give the model in bf16, f16 or f32");
}

// null is not the same as nothing.
int64_t key_value_heads(const JsonValue& json, int64_t heads) {
  constexpr char kKey[] = "num_key_value_heads";
  if (json.has(kKey)) return size_at(json, kKey);
  return json.contains(kKey) ? heads : kDefaultKeyValueHeads;
}

// One word a layer.
void check_layer_types(const JsonValue& json, int64_t layers) {
  if (!json.has("layer_types")) return;
  const JsonValue types = json["layer_types"];
  const auto count = static_cast<int64_t>(types.size());
  if (count != layers)
    types.refuse(concat("there are ", count, ", expected ", layers, ", as num_hidden_layers says"));
  for (const JsonValue& type : types.elements()) {
    if (type.string() != "full_attention") type.refuse_name(type.string(), {"full_attention"});
  }
}

}  // namespace

Qwen3Config read_qwen3_config(const JsonValue& json) {
  refuse_other_computations(json);
  Qwen3Config config;
  ModelConfig& model = config.model;
  model.kind = ModelKind::transformer;
  model.mup.enabled = false;
  model.vocab_size = size_at(json, "vocab_size");
  model.token.width = size_at(json, "hidden_size");
  model.token.heads = size_at(json, "num_attention_heads");
  model.token.kv_heads = key_value_heads(json, model.token.heads);
  model.token.ff = size_at(json, "intermediate_size");
  model.token.own_head_dim = json.has("head_dim") ? size_at(json, "head_dim") : kDefaultHeadDim;
  model.layers = size_at(json, "num_hidden_layers", kMostLayers);
  check_layer_types(json, model.layers);
  model.norm_epsilon = number_or(json, "rms_norm_eps", kDefaultEpsilon);
  model.rope_base = rope_base_of(json);
  model.tied_embeddings = json.boolean_or("tie_word_embeddings", false);
  config.positions = json.has("max_position_embeddings")
                         ? json["max_position_embeddings"].integer(1, std::numeric_limits<int32_t>::max())
                         : kDefaultPositions;
  try {
    check(model);
  } catch (const InputError& error) {
    json.refuse(error.what());
  }
  return config;
}

}  // namespace dlcm::apps
