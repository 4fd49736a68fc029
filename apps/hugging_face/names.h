// Files and keys of a folder of Hugging Face's form, as `transformers` and others write and read one:
//   config.json               what the model is: architectures, model_type, sizes
//   model.safetensors         its weights; or several files and model.safetensors.index.json
//   tokenizer.json            with tokenizer_config.json
//   generation_config.json    the ids with which a text ends
// Two kinds of model are known: Qwen3ForCausalLM, which our transformer is, and our own Dlcm. Folders of the
// latter have config.toml too, the configuration of the run.
#pragma once

#include <string>

namespace dlcm::apps {

inline constexpr char kFolderConfigFile[] = "config.json";
inline constexpr char kFolderTomlFile[] = "config.toml";
inline constexpr char kFolderWeightsFile[] = "model.safetensors";
inline constexpr char kGenerationConfigFile[] = "generation_config.json";

inline constexpr char kQwen3Type[] = "qwen3";
inline constexpr char kQwen3Architecture[] = "Qwen3ForCausalLM";
inline constexpr char kDlcmType[] = "dlcm";
inline constexpr char kDlcmArchitecture[] = "Dlcm";

// Of a Dlcm's config.json: all that config.toml has.
inline constexpr char kConfigurationKey[] = "configuration";

// Of config.json, where tokenizer.json is not the file that made the model's shards but one of the same ids:
// an object of both identities, {"identity": that of the shards, "file": that of tokenizer.json}.
inline constexpr char kTokenizerKey[] = "dlcm_tokenizer";

// Of a Qwen3ForCausalLM. Where the two are tied, files have the first alone, or the same twice.
inline constexpr char kEmbeddingTensor[] = "model.embed_tokens.weight";
inline constexpr char kUnembeddingTensor[] = "lm_head.weight";

// The name in a Qwen3ForCausalLM of our transformer's parameter with this path: "decoder/norm" is
// "model.norm.weight". Throws Error where there is none.
std::string qwen3_name(const std::string& path);

}  // namespace dlcm::apps
