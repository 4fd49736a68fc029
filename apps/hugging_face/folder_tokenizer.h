// The tokenizer of a model in a folder of Hugging Face's form.
#pragma once

#include <memory>
#include <string>

#include "apps/common/loaded_model.h"

namespace dlcm::apps {

// The one beside config.json or, where `file` is given, that tokenizer.json, which must be the same one where
// the folder has one. Prompts begin as `transformers` lets them: with the tokens that the post_processor of
// tokenizer.json puts in front, or with none. Throws InputError where there is no tokenizer, or it has more
// ids than the model.
std::unique_ptr<data::Tokenizer> folder_tokenizer(const LoadedModel& loaded, const std::string& file);

}  // namespace dlcm::apps
