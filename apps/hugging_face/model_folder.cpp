#include "apps/hugging_face/model_folder.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "apps/hugging_face/configuration_json.h"
#include "apps/hugging_face/names.h"
#include "apps/hugging_face/qwen3_config.h"
#include "apps/hugging_face/tokenizer_files.h"
#include "data/bpe/json_value.h"
#include "data/safetensors_model.h"
#include "tensor/ops/elementwise.h"

namespace dlcm::apps {
namespace {

namespace fs = std::filesystem;
using data::JsonValue;

constexpr size_t kMostConfigBytes = size_t{16} << 20;
constexpr size_t kMostTokenizerBytes = size_t{512} << 20;

std::string in_folder(const std::string& folder, const char* name) {
  return (fs::path(folder) / name).string();
}

// A number, or a list of them; none where the key is not there.
std::vector<int32_t> ids_at(const JsonValue& json, const char* key, int64_t vocab_size) {
  std::vector<int32_t> ids;
  if (!json.has(key)) return ids;
  const JsonValue field = json[key];
  const auto add = [&](const JsonValue& id) {
    ids.push_back(static_cast<int32_t>(id.integer(0, vocab_size - 1)));
  };
  if (!field.value().is_array()) {
    add(field);
    return ids;
  }
  for (const JsonValue& id : field.elements()) add(id);
  return ids;
}

// As transformers takes them: generation_config.json, where it is there, says all.
std::vector<int32_t> text_ends(const std::string& folder, const JsonValue& config, int64_t vocab_size) {
  const std::string path = in_folder(folder, kGenerationConfigFile);
  if (!fs::exists(path)) return ids_at(config, "eos_token_id", vocab_size);
  const data::JsonDocument json(path, data::read_file(path, kMostConfigBytes));
  return ids_at(json.root(), "eos_token_id", vocab_size);
}

// The identity of the tokenizer of the model's shards; `file`: that of the folder's.
std::string identity_of(const std::string& file, const JsonValue& config) {
  if (file.empty() || !config.has(kTokenizerKey)) return file;
  const JsonValue both = config[kTokenizerKey];
  return both["file"].string() == file ? std::string(both["identity"].string())
                                       : file;  // or it has been replaced
}

Config dlcm_config(const std::string& folder, const JsonValue& json) {
  const std::string path = in_folder(folder, kFolderTomlFile);
  DLCM_CHECK_INPUT(fs::exists(path), "'", path, "' is missing: it has the configuration of the model");
  Config config = load_config(path).config;
  DLCM_CHECK_INPUT(config.model.kind == ModelKind::dlcm, "'", path,
                   "': model.kind is not \"dlcm\", but config.json beside it says so");
  const auto refuse_other = [&](const JsonValue& value, const std::string& what) {
    value.refuse(concat(what, " is not that of '", path,
                        "': both hold the configuration, change them together or not at all"));
  };
  if (json.contains(kConfigurationKey)) {
    const JsonValue copy = json[kConfigurationKey];
    copy.object();
    const std::string other = first_difference(copy.dump(), configuration_json(config));
    if (!other.empty()) refuse_other(copy, data::shown(other));
  }
  if (json.contains("vocab_size")) {
    const JsonValue size = json["vocab_size"];
    if (size.integer(1, kLargestSize) != config.model.vocab_size) refuse_other(size, size.dump());
  }
  return config;
}

bool is_qwen3(const LoadedModel& loaded) {
  return loaded.config.model.kind == ModelKind::transformer;
}

std::string name_in_file(const LoadedModel& loaded, const nn::Parameter& parameter) {
  return is_qwen3(loaded) ? qwen3_name(parameter.path()) : parameter.path();
}

// What transformers leaves in files though the model does not read it.
bool is_ignored(const std::string& name, const ModelConfig& model) {
  return name.ends_with("rotary_emb.inv_freq") || (model.tied_embeddings && name == kUnembeddingTensor);
}

// transformers 4 ties whatever the file has, transformers 5 only where both are the same: two models.
void require_tie(const data::SafetensorsModel& file, const std::string& name, const Tensor& embedding) {
  const Shape& shape = file.info(kUnembeddingTensor).shape;
  const auto same = [&] {
    const Tensor other = file.read_f32(kUnembeddingTensor);
    return std::equal(other.data<float>(), other.data<float>() + other.numel(), embedding.data<float>());
  };
  DLCM_CHECK_INPUT(shape == embedding.shape() && same(), "'", file.file_of(kUnembeddingTensor).path(),
                   "': the tensor '", kUnembeddingTensor, "' is not '", name, "', but ", kFolderConfigFile,
                   " ties them: set tie_word_embeddings to false there, and both are read");
}

void require_tensors(const data::SafetensorsModel& file, const LoadedModel& loaded) {
  const char* const described_by = is_qwen3(loaded) ? kFolderConfigFile : kFolderTomlFile;
  std::set<std::string> unknown;
  for (const std::string& name : file.names()) {
    if (!is_ignored(name, loaded.config.model)) unknown.insert(name);
  }
  for (const nn::Parameter* parameter : loaded.model->parameters()) {
    const std::string name = name_in_file(loaded, *parameter);
    DLCM_CHECK_INPUT(file.has(name), "'", file.path(), "': there is no tensor '", name, "', but ",
                     described_by, " says so: copy the folder again, as the two are not of one model");
    const Shape& shape = file.info(name).shape;
    DLCM_CHECK_INPUT(shape == parameter->shape(), "'", file.file_of(name).path(), "': tensor '", name,
                     "' has shape ", shape, ", but ", described_by, " says ", parameter->shape());
    unknown.erase(name);
  }
  DLCM_CHECK_INPUT(unknown.empty(), "'", file.path(), "': the tensor '", data::shown(*unknown.begin()),
                   "' is none of the model's: it is another model than ", described_by, " says");
}

}  // namespace

bool is_model_folder(const std::string& path) {
  std::error_code error;
  return fs::is_directory(path, error) && fs::exists(fs::path(path) / kFolderConfigFile, error);
}

void refuse_file_of_folder(const std::string& path) {
  const fs::path file(path);
  std::error_code error;
  const bool is_part = file.extension() == ".safetensors" || file.extension() == ".json";
  if (!is_part || !fs::is_regular_file(file, error)) return;
  const std::string folder = file.has_parent_path() ? file.parent_path().string() : ".";
  throw InputError(concat("'", path, "' is a file of a model's folder: give the folder, '", folder, "'"));
}

LoadedModel describe_model_folder(const std::string& folder) {
  const std::string path = in_folder(folder, kFolderConfigFile);
  const data::JsonDocument document(path, data::read_file(path, kMostConfigBytes));
  const JsonValue json = document.root();
  const std::string_view type = json["model_type"].string();
  LoadedModel loaded;
  loaded.folder = FolderText();
  if (type == kQwen3Type) {
    const Qwen3Config qwen3 = read_qwen3_config(json);
    loaded.config.model = qwen3.model;
    loaded.folder->positions = qwen3.positions;
    loaded.config.train.context = std::clamp<int64_t>(qwen3.positions, 2, kLongestContext);
    loaded.config.train.micro_tokens = loaded.config.train.context;
  } else if (type == kDlcmType) {
    loaded.config = dlcm_config(folder, json);
  } else {
    json["model_type"].refuse_name(type, {kQwen3Type, kDlcmType});
  }
  loaded.path = folder;
  const std::string tokenizer = in_folder(folder, data::kTokenizerFile);
  if (fs::exists(tokenizer)) {
    loaded.folder->tokenizer_file = tokenizer;
    loaded.folder->tokenizer = tokenizer_file_identity(data::read_file(tokenizer, kMostTokenizerBytes));
  }
  loaded.folder->ends = text_ends(folder, json, loaded.config.model.vocab_size);
  loaded.tokenizer = identity_of(loaded.folder->tokenizer, json);
  return loaded;
}

void read_model_folder(const std::string& folder, LoadedModel& described) {
  const data::SafetensorsModel file(folder);
  described.model = make_model(described.config.model);
  require_tensors(file, described);
  for (nn::Parameter* parameter : described.model->parameters()) {
    const std::string name = name_in_file(described, *parameter);
    const Tensor value = file.read_f32(name);
    DLCM_CHECK_INPUT(ops::all_finite(value), "'", file.file_of(name).path(), "': tensor '", name,
                     "' has values that are not finite: the model is ruined, or its file damaged");
    const bool tied = described.config.model.tied_embeddings && name == kEmbeddingTensor;
    if (tied && file.has(kUnembeddingTensor)) require_tie(file, name, value);
    parameter->set_value(value);
  }
}

}  // namespace dlcm::apps
