#include "apps/common/loaded_model.h"

#include <filesystem>
#include <map>

#include "apps/common/input_file.h"
#include "apps/common/model_tokenizer.h"
#include "apps/hugging_face/folder_tokenizer.h"
#include "apps/hugging_face/model_folder.h"
#include "data/checkpoint.h"
#include "data/tokenizer.h"

namespace dlcm::apps {
namespace {

namespace fs = std::filesystem;

std::string stored_tokenizer(const data::CheckpointReader& file, int64_t vocab_size) {
  const auto found = file.header().extra.find("tokenizer");
  DLCM_CHECK_INPUT(found != file.header().extra.end(), "'", file.path(),
                   "' has no attribute 'tokenizer': not a checkpoint that train has written");
  return data::full_identity(found->second, vocab_size);
}

// Shapes are compared before anything is allocated: a damaged configuration may ask for any size.
void require_shapes(const data::CheckpointReader& file, const std::vector<nn::Parameter*>& parameters) {
  std::vector<std::string> names;
  for (const nn::Parameter* parameter : parameters) names.push_back(parameter->path());
  file.require_parameters(names);
  std::map<std::string, Shape> stored;
  for (const auto& [name, shape] : file.parameters()) stored.emplace(name, shape);
  for (const nn::Parameter* parameter : parameters) {
    const Shape& shape = stored.at(parameter->path());
    DLCM_CHECK_INPUT(shape == parameter->shape(), "'", file.path(), "': parameter '", parameter->path(),
                     "' has shape ", shape, ", but its configuration says ", parameter->shape());
  }
}

LoadedModel describe(const data::CheckpointReader& file) {
  LoadedModel loaded;
  loaded.path = file.path();
  loaded.tokenizer_places = data::tokenizer_places(file.path());
  loaded.config =
      parse_config(file.header().config, concat("the configuration in '", loaded.path, "'")).config;
  loaded.tokenizer = stored_tokenizer(file, loaded.config.model.vocab_size);
  loaded.step = file.header().step;
  loaded.tokens_seen = file.header().tokens_seen;
  return loaded;
}

void read_weights(const data::CheckpointReader& file, LoadedModel& loaded) {
  loaded.model = make_model(loaded.config.model);
  const std::vector<nn::Parameter*> parameters = loaded.model->parameters();
  require_shapes(file, parameters);
  for (nn::Parameter* parameter : parameters) {
    const Tensor value = Tensor::empty(parameter->shape());
    file.read_parameter(parameter->path(), value);
    parameter->set_value(value);
  }
}

enum class Weights { no, yes };

LoadedModel load(const std::string& source, Weights weights) {
  if (is_model_folder(source)) {
    LoadedModel loaded = describe_model_folder(source);
    if (weights == Weights::yes) read_model_folder(source, loaded);
    return loaded;
  }
  refuse_file_of_folder(source);
  std::error_code error;
  const bool is_run = !fs::is_directory(source, error) || fs::exists(fs::path(source) / "checkpoints", error);
  DLCM_CHECK_INPUT(is_run, "'", source,
                   "' is neither the folder of a run (train --output), which has a folder "
                   "'checkpoints', nor of a model, which has a 'config.json'");
  const InputFile input(source);
  LoadedModel loaded;
  input.use([&](const std::string& path) {
    const data::CheckpointReader file(data::newest_checkpoint(path));
    loaded = describe(file);
    if (weights == Weights::yes) read_weights(file, loaded);
  });
  if (loaded.path == input.path()) loaded.path = input.name();
  if (source == "-") loaded.tokenizer_places.clear();
  return loaded;
}

}  // namespace

LoadedModel load_model(const std::string& source) {
  return load(source, Weights::yes);
}

std::vector<std::string> LoadedModel::tokenizers() const {
  std::vector<std::string> all;
  if (!tokenizer.empty()) all.push_back(tokenizer);
  if (folder && !folder->tokenizer.empty() && folder->tokenizer != tokenizer)
    all.push_back(folder->tokenizer);
  return all;
}

LoadedModel load_description(const std::string& source) {
  return load(source, Weights::no);
}

DType dtype_option(const std::optional<std::string>& word, DType otherwise) {
  if (!word) return otherwise;
  DLCM_CHECK_INPUT(*word == "f32" || *word == "bf16", "--dtype '", *word, "': expected f32 or bf16");
  return *word == "f32" ? DType::f32 : DType::bf16;
}

std::unique_ptr<data::Tokenizer> tokenizer_of(const LoadedModel& loaded, const std::string& file) {
  DLCM_CHECK_INPUT(file.empty() || std::filesystem::exists(file), "--tokenizer '", file,
                   "': there is no such file");
  const int64_t vocab_size = loaded.config.model.vocab_size;
  if (loaded.folder) return folder_tokenizer(loaded, file);
  const std::vector<std::string> places = file.empty() ? loaded.tokenizer_places : std::vector{file};
  auto tokenizer = data::tokenizer_of_identity(loaded.tokenizer, vocab_size, places, loaded.path);
  if (tokenizer->vocab_size() == vocab_size) return tokenizer;
  ModelText text = {vocab_size, loaded.tokenizer, tokenizer->prompt_begin(), {tokenizer->end_id()}};
  return std::make_unique<ModelTokenizer>(std::move(tokenizer), std::move(text));
}

}  // namespace dlcm::apps
