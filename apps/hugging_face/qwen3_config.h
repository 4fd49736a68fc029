// config.json of a dense Qwen3 (Qwen team, arXiv 2505.09388): which of our transformers it is.
#pragma once

#include <string>
#include <vector>

#include "data/bpe/json_value.h"
#include "dlcm/config.h"

namespace dlcm::apps {

struct Qwen3Config {
  ModelConfig model;      // a transformer without muP
  int64_t positions = 0;  // max_position_embeddings
};

// `json` is the root of a config.json, with the model_type "qwen3". Keys left out are what `transformers`
// takes for them; sizes must be there. Throws InputError of one line that names the key where it asks for
// something else than our transformer computes: attention_bias, hidden_act other than silu, rope_scaling,
// sliding windows, quantisation; and where sizes are impossible.
Qwen3Config read_qwen3_config(const data::JsonValue& json);

}  // namespace dlcm::apps
