#include "apps/training/run_input.h"

#include <algorithm>
#include <filesystem>
#include <optional>

#include "apps/common/loaded_model.h"
#include "data/tokenizer.h"
#include "tensor/check.h"

namespace dlcm::apps {
namespace {

// What of the documents is left out or cut.
void note_documents(const data::Loader& loader, int64_t context, std::vector<std::string>& notes) {
  if (loader.duplicate_documents() > 0) {
    notes.push_back(concat("note: ", loader.duplicate_documents(), " training documents (",
                           loader.duplicate_tokens(), " tokens) are held out too; they are not trained on"));
  }
  if (loader.cut_documents() > 0) {
    notes.push_back(concat("note: ", loader.cut_documents(), " of ", loader.documents(),
                           " documents are longer than train.context = ", context, " and are cut"));
  }
}

// Of the run that is to be gone on with.
std::optional<Config> earlier_config(const TrainArguments& arguments) {
  const std::string& run = arguments.branch_of.empty() ? arguments.output_folder : arguments.branch_of;
  const std::string path = (std::filesystem::path(run) / "config.toml").string();
  std::error_code error;
  if (arguments.resume == Resume::no || !std::filesystem::exists(path, error)) return std::nullopt;
  return load_config(path).config;
}

// What is trained on from a source is the source's model, as a whole. Returns its tokenizer's identities,
// none where that is not known.
std::vector<std::string> take_model_of_source(const TrainArguments& arguments, RunInput& input) {
  std::string& source = input.config.train.initialize;
  if (!arguments.initialize.empty()) source = arguments.initialize;
  const std::optional<Config> earlier = earlier_config(arguments);
  if (earlier && source.empty()) source = earlier->train.initialize;
  if (source.empty()) return {};
  DLCM_CHECK_INPUT(source != "-",
                   "train.initialize = \"-\": expected a file or a folder, as the run may need it again");
  input.notes.push_back(concat("note: [model] and [mup] are those of ", source));
  if (earlier) {
    input.config.model = earlier->model;
    return {};
  }
  const LoadedModel described = load_description(source);
  input.config.model = described.config.model;
  return described.tokenizers();
}

// The shards' ids are the source's, of which it may have more.
void check_source_fits(const std::string& folder, const std::vector<std::string>& tokenizers,
                       const RunInput& input) {
  const std::string& source = input.config.train.initialize;
  const bool fits = tokenizers.empty() || std::find(tokenizers.begin(), tokenizers.end(),
                                                    input.loader->tokenizer()) != tokenizers.end();
  DLCM_CHECK_INPUT(fits, "'", folder, "' was made with tokenizer '", input.loader->tokenizer(), "', but '",
                   source, "' with '", tokenizers.front(),
                   "': make shards with the tokenizer of the model that the run is to begin with");
  DLCM_CHECK_INPUT(input.loader->vocab_size() <= input.config.model.vocab_size, "'", folder,
                   "' has a vocabulary of ", input.loader->vocab_size(), " ids, but '", source, "' of ",
                   input.config.model.vocab_size);
}

void open_training_shards(const std::string& folder, const std::vector<std::string>& tokenizers,
                          RunInput& input) {
  data::LoaderOptions options;
  options.folder = folder;
  options.weights = input.config.data_weights;
  options.seed = input.config.train.seed;
  options.context = input.config.train.context;
  options.batch_tokens = input.config.train.batch_tokens;
  input.loader = std::make_unique<data::Loader>(options);
  note_documents(*input.loader, options.context, input.notes);
  const int64_t vocab_size = input.loader->vocab_size();
  DLCM_CHECK_INPUT(
      !data::names_bytes(input.loader->tokenizer()) || vocab_size == data::ByteTokenizer().vocab_size(), "'",
      folder, "': the shards say tokenizer '", input.loader->tokenizer(), "' and vocab_size ", vocab_size,
      ", but bytes have 257 ids: write them anew with the tokenizer's own name, or "
      "with vocab_size 257");
  DLCM_CHECK_INPUT(input.loader->tokens() > input.loader->documents(), "'", folder,
                   "': every document of the training shards is a single token, so there is nothing to "
                   "predict; make shards of longer text with tokenize");
  if (input.config.train.initialize.empty()) {
    input.config.model.vocab_size = vocab_size;
  } else {
    check_source_fits(folder, tokenizers, input);
  }
  check(input.config);
}

void open_heldout_shards(const std::string& folder, RunInput& input) {
  if (data::shard_domains(folder, "heldout").empty()) {
    input.notes.push_back("note: " + folder + " has no held-out shards, so there is no evaluation");
    return;
  }
  const TrainConfig& train = input.config.train;
  data::HeldoutOptions options;
  options.source = folder;
  options.context = train.context;
  options.batch_tokens = std::max(train.context, train.micro_tokens);
  options.max_tokens = train.evaluate_tokens;
  options.choice = data::HeldoutChoice::spread;
  input.heldout = std::make_unique<data::HeldoutReader>(options);
  DLCM_CHECK_INPUT(input.heldout->vocab_size() == input.loader->vocab_size() &&
                       input.heldout->tokenizer() == input.loader->tokenizer(),
                   folder, ": the held-out shards were made with another tokenizer than the training ones");
}

}  // namespace

RunInput open_run_input(const TrainArguments& arguments) {
  const LoadedConfig loaded = load_config(arguments.config_file, arguments.overrides);
  RunInput input;
  input.config = loaded.config;
  input.notes = notes_of(loaded);
  const std::vector<std::string> tokenizers = take_model_of_source(arguments, input);
  if (!arguments.data_folder.empty()) {
    open_training_shards(arguments.data_folder, tokenizers, input);
    open_heldout_shards(arguments.data_folder, input);
  }
  if (input.config.model.kind == ModelKind::dlcm &&
      input.config.model.cross_attention.visibility == Visibility::containing) {
    input.notes.emplace_back(
        "warning: visibility \"containing\" lets tokens see concepts that hold later tokens: the loss leaks "
        "the future and the model cannot generate");
  }
  return input;
}

}  // namespace dlcm::apps
