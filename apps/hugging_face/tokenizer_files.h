// tokenizer.json and tokenizer_config.json for a model of ours, so that `transformers` makes of a text the
// ids that our programs make of it, the begin token in front.
#pragma once

#include <string>

#include "apps/common/loaded_model.h"

namespace dlcm::apps {

struct TokenizerFiles {
  std::string tokenizer;         // tokenizer.json; empty where there is none to make it of
  std::string tokenizer_config;  // tokenizer_config.json
  int32_t begin = -1;            // ids; -1 where there is no tokenizer
  int32_t end = -1;
};

// The identity of a tokenizer.json with these bytes (data/bpe/json_tokenizer.h).
std::string tokenizer_file_identity(const std::string& file_bytes);

// Of the tokenizer of a checkpoint: `file`, or where it is empty the copy beside it. `bytes` becomes a
// byte-level BPE without merges, in which the text <|endoftext|> stands for id 256. Empty where the tokenizer
// is found nowhere; InputError where `file` is not the model's.
TokenizerFiles made_tokenizer_files(const LoadedModel& loaded, const std::string& file);

}  // namespace dlcm::apps
