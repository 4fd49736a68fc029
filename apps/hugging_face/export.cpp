#include "apps/hugging_face/export.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "apps/hugging_face/configuration_json.h"
#include "apps/hugging_face/folder_tokenizer.h"
#include "apps/hugging_face/names.h"
#include "apps/hugging_face/tokenizer_files.h"
#include "data/atomic_file.h"
#include "data/atomic_folder.h"
#include "data/bpe/json_value.h"
#include "data/safetensors.h"
#include "tensor/ops/elementwise.h"

namespace dlcm::apps {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr size_t kMostFileBytes = size_t{512} << 20;

// What a folder may have beside weights and config.json, and an export of a folder takes along.
constexpr std::array<const char*, 8> kTextFiles = {
    data::kTokenizerFile, data::kTokenizerConfigFile, kGenerationConfigFile, "special_tokens_map.json",
    "added_tokens.json",  "chat_template.jinja",      "vocab.json",          "merges.txt"};

bool is_exported_name(const std::string& name) {
  return name == kFolderConfigFile || name == kFolderWeightsFile || name == kFolderTomlFile ||
         std::find(kTextFiles.begin(), kTextFiles.end(), name) != kTextFiles.end();
}

// Begin and ends of a text, and the files that say so.
struct TextFiles {
  std::vector<int32_t> begin;
  std::vector<int32_t> ends;
  std::map<std::string, std::string> files;  // by name
};

// A folder's files go along as they are.
TextFiles text_of_folder(const LoadedModel& loaded, const std::string& tokenizer) {
  TextFiles text;
  text.ends = loaded.folder->ends;
  for (const char* name : kTextFiles) {
    const fs::path path = fs::path(loaded.path) / name;
    if (fs::exists(path)) text.files[name] = data::read_file(path.string(), kMostFileBytes);
  }
  if (loaded.folder->tokenizer_file.empty() && !tokenizer.empty())
    text.files[data::kTokenizerFile] = data::read_file(tokenizer, kMostFileBytes);
  if (!text.files.contains(data::kTokenizerFile)) return text;
  text.begin = folder_tokenizer(loaded, tokenizer)->prompt_begin();
  return text;
}

TextFiles text_of_checkpoint(const LoadedModel& loaded, const std::string& tokenizer) {
  const TokenizerFiles made = made_tokenizer_files(loaded, tokenizer);
  TextFiles text;
  if (made.tokenizer.empty()) return text;
  text.begin = {made.begin};
  text.ends = {made.end};
  text.files[data::kTokenizerFile] = made.tokenizer;
  text.files[data::kTokenizerConfigFile] = made.tokenizer_config;
  return text;
}

// null, an id or a list of ids.
Json ids_json(const std::vector<int32_t>& ids) {
  if (ids.empty()) return nullptr;
  return ids.size() == 1 ? Json(ids.front()) : Json(ids);
}

void add_text(const LoadedModel& loaded, const TextFiles& text, Json& config) {
  config["bos_token_id"] = text.begin.size() == 1 ? Json(text.begin.front()) : Json(nullptr);
  config["eos_token_id"] = ids_json(text.ends);
  const auto file = text.files.find(data::kTokenizerFile);
  if (file == text.files.end() || loaded.tokenizer.empty()) return;
  const std::string identity = tokenizer_file_identity(file->second);
  if (identity != loaded.tokenizer)
    config[kTokenizerKey] = {{"identity", loaded.tokenizer}, {"file", identity}};
}

// Keys of transformers before and after version 5.
Json qwen3_json(const ModelConfig& model, int64_t positions, DType dtype) {
  const StackConfig& stack = model.token;
  const char* const word = dtype == DType::bf16 ? "bfloat16" : "float32";
  return {{"architectures", Json::array({kQwen3Architecture})},
          {"model_type", kQwen3Type},
          {"vocab_size", model.vocab_size},
          {"hidden_size", stack.width},
          {"intermediate_size", stack.ff},
          {"num_hidden_layers", model.layers},
          {"num_attention_heads", stack.heads},
          {"num_key_value_heads", stack.kv_heads},
          {"head_dim", stack.head_dim()},
          {"hidden_act", "silu"},
          {"max_position_embeddings", positions},
          {"rms_norm_eps", model.norm_epsilon},
          {"rope_theta", model.rope_base},
          {"rope_scaling", nullptr},
          {"rope_parameters", {{"rope_theta", model.rope_base}, {"rope_type", "default"}}},
          {"attention_bias", false},
          {"attention_dropout", 0.0},
          {"use_sliding_window", false},
          {"sliding_window", nullptr},
          {"layer_types", std::vector<std::string>(static_cast<size_t>(model.layers), "full_attention")},
          {"initializer_range", 0.02},
          {"tie_word_embeddings", model.tied_embeddings},
          {"use_cache", true},
          {"torch_dtype", word},
          {"dtype", word}};
}

Json dlcm_json(const Config& config) {
  return {{"architectures", Json::array({kDlcmArchitecture})},
          {"model_type", kDlcmType},
          {"vocab_size", config.model.vocab_size},
          {kConfigurationKey, Json::parse(configuration_json(config))}};
}

void write_weights(const LoadedModel& loaded, const ModelConfig& model, DType dtype,
                   const std::string& path) {
  const bool is_qwen3 = model.kind == ModelKind::transformer;
  std::vector<data::SafetensorsEntry> entries;
  std::map<std::string, const nn::Parameter*> parameters;
  const auto add = [&](const std::string& parameter, const std::string& name) {
    const nn::Parameter& from = loaded.model->parameter(parameter);
    entries.push_back({name, dtype, from.shape()});
    parameters[name] = &from;
  };
  for (const nn::Parameter* parameter : loaded.model->parameters())
    add(parameter->path(), is_qwen3 ? qwen3_name(parameter->path()) : parameter->path());
  const std::string unembedding = qwen3_name("unembedding");
  if (is_qwen3 && !model.tied_embeddings && !parameters.contains(unembedding)) add("embedding", unembedding);
  const double scale = is_qwen3 ? 1.0 / loaded.config.model.token_multiplier() : 1.0;
  data::write_safetensors(path, entries, data::kPyTorchMetadata, [&](const std::string& name) {
    const Tensor& value = parameters.at(name)->value();
    if (name != unembedding || scale == 1.0) return value;
    const Tensor scaled = value.clone();
    ops::scale_into(scaled, scale);
    return scaled;
  });
}

// What a text file of the folder becomes.
void write_texts(const TextFiles& text, const std::string& folder) {
  for (const auto& [name, contents] : text.files)
    data::write_file((fs::path(folder) / name).string(), contents);
  if (text.files.contains(kGenerationConfigFile)) return;
  Json generation = {{"bos_token_id", text.begin.size() == 1 ? Json(text.begin.front()) : Json(nullptr)},
                     {"eos_token_id", ids_json(text.ends)}};
  data::write_file((fs::path(folder) / kGenerationConfigFile).string(), generation.dump(2) + "\n");
}

}  // namespace

void require_exportable(const ExportOptions& options) {
  std::error_code error;
  if (!fs::exists(options.output, error)) return;
  DLCM_CHECK_INPUT(fs::is_directory(options.output, error), "--output '", options.output,
                   "' is a file, expected a folder");
  for (const fs::directory_entry& entry : fs::directory_iterator(options.output)) {
    DLCM_CHECK_INPUT(options.overwrite == Overwrite::yes, "--output '", options.output,
                     "' is not empty: choose another, or replace an earlier export with --overwrite");
    const std::string name = entry.path().filename().string();
    DLCM_CHECK_INPUT(is_exported_name(name), "--output '", options.output, "' holds '", data::shown(name),
                     "', which no export has written: it is not replaced, choose another folder");
  }
}

std::vector<std::string> export_model(const LoadedModel& loaded, const ExportOptions& options) {
  require_exportable(options);
  std::vector<std::string> notes;
  Config config = loaded.config;
  config.train.initialize.clear();  // a place on this machine
  if (config.model.kind == ModelKind::transformer && config.model.tied_embeddings &&
      config.model.token_multiplier() != 1.0) {
    config.model.tied_embeddings = false;
    notes.emplace_back(
        "note: muP multiplies the logits, so that the unembedding is written as a matrix of its own");
  }
  const TextFiles text = loaded.folder ? text_of_folder(loaded, options.tokenizer)
                                       : text_of_checkpoint(loaded, options.tokenizer);
  if (!text.files.contains(data::kTokenizerFile)) {
    const std::string missing =
        loaded.tokenizer.empty()
            ? concat("'", loaded.path, "' has no ", data::kTokenizerFile)
            : concat("the tokenizer '", loaded.tokenizer, "' is not beside '", loaded.path, "'");
    notes.push_back(concat("warning: ", missing, ": the folder has none; --tokenizer names it"));
  }
  const bool is_qwen3 = config.model.kind == ModelKind::transformer;
  Json json = is_qwen3 ? qwen3_json(config.model, loaded.positions(), options.dtype) : dlcm_json(config);
  add_text(loaded, text, json);
  data::AtomicFolder folder(options.output);
  const auto place = [&](const char* name) { return (fs::path(folder.temporary()) / name).string(); };
  write_weights(loaded, config.model, options.dtype, place(kFolderWeightsFile));
  write_texts(text, folder.temporary());
  if (!is_qwen3) data::write_file(place(kFolderTomlFile), to_toml(config));
  data::write_file(place(kFolderConfigFile), json.dump(2) + "\n");
  folder.publish();
  return notes;
}

}  // namespace dlcm::apps
