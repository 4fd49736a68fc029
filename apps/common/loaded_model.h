// A model as the programs that use one get it: from a checkpoint, ready to run.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "apps/common/config.h"
#include "data/tokenizer.h"
#include "dlcm/language_model.h"

namespace dlcm::apps {

// What a folder of Hugging Face's form (apps/hugging_face) says of text.
struct FolderText {
  std::string tokenizer_file;  // its tokenizer.json; empty where there is none
  std::string tokenizer;       // the identity of that file, whose ids are those of LoadedModel::tokenizer
  std::vector<int32_t> ends;   // ids with which a text ends; none: it never does
  int64_t positions = 0;       // max_position_embeddings; 0 where it says none
};

struct LoadedModel {
  std::string path;  // of the checkpoint or folder read, or "standard input"
  Config config;     // as stored in it
  std::unique_ptr<LanguageModel> model;
  std::string tokenizer;                      // the identity of the one that made its shards
  std::vector<std::string> tokenizer_places;  // where its tokenizer.json may lie
  std::optional<FolderText> folder;           // nothing of a checkpoint
  int64_t step = 0;
  int64_t tokens_seen = 0;
  // The identities of tokenizers with the model's ids; empty where none is known.
  std::vector<std::string> tokenizers() const;
  // Tokens for which the model was made.
  int64_t positions() const {
    return folder && folder->positions > 0 ? folder->positions : config.train.context;
  }
};

// `source` is a checkpoint, a run's folder, whose newest complete checkpoint is taken, a folder of Hugging
// Face's form, or "-": a checkpoint on standard input. Throws InputError naming file and parameter where
// something is missing, damaged or of another shape than the configuration says.
LoadedModel load_model(const std::string& source);
// The same without weights: `model` is null.
LoadedModel load_description(const std::string& source);

// What a program's option --dtype says, or `otherwise` where it is not given. Throws InputError for
// other words than f32 and bf16.
DType dtype_option(const std::optional<std::string>& word, DType otherwise);

// What turns text into the model's ids and back: `file`, a tokenizer.json, or where it is empty the one
// beside the checkpoint. Ids that the model has beyond it stand for nothing. Throws InputError that names
// checkpoint and tokenizer where it is not the model's: the model can then be evaluated on shards, but not
// write.
std::unique_ptr<data::Tokenizer> tokenizer_of(const LoadedModel& loaded, const std::string& file = {});

}  // namespace dlcm::apps
