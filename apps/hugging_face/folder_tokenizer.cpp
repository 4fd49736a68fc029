#include "apps/hugging_face/folder_tokenizer.h"

#include "apps/common/model_tokenizer.h"
#include "data/bpe/json_value.h"
#include "tensor/check.h"

namespace dlcm::apps {
namespace {

using data::JsonValue;

constexpr size_t kMostFileBytes = size_t{512} << 20;

// "single" of a TemplateProcessing is a list of {"SpecialToken": {"id": NAME}} and {"Sequence": {"id": "A"}},
// the text; "special_tokens" has the ids of each name.
void add_template(const JsonValue& field, int64_t vocab_size, std::vector<int32_t>& begin) {
  const JsonValue names = field["special_tokens"];
  const auto tokens = names.fields();
  bool behind = false;
  for (const JsonValue& piece : field["single"].elements()) {
    if (piece.has("Sequence")) {
      behind = true;
      continue;
    }
    const std::string_view name = piece["SpecialToken"]["id"].string();
    if (behind) piece.refuse(concat("a token behind the text, '", data::shown(name), "', is not supported"));
    const auto token = tokens.find(name);
    if (token == tokens.end())
      piece.refuse(concat("the token '", data::shown(name), "' is not one of special_tokens"));
    for (const JsonValue& id : token->second["ids"].elements()) {
      begin.push_back(static_cast<int32_t>(id.integer(0, vocab_size - 1)));
    }
  }
}

std::vector<int32_t> prompt_begin_in(const std::string& path, int64_t vocab_size) {
  const data::JsonDocument json(path, data::read_file(path, kMostFileBytes));
  const JsonValue root = json.root();
  std::vector<int32_t> begin;
  if (!root.has("post_processor")) return begin;
  const JsonValue field = root["post_processor"];
  if (field.type() == "TemplateProcessing") add_template(field, vocab_size, begin);
  if (field.type() != "Sequence") return begin;
  for (const JsonValue& processor : field["processors"].elements()) {
    if (processor.type() == "TemplateProcessing") add_template(processor, vocab_size, begin);
  }
  return begin;
}

std::unique_ptr<data::Tokenizer> base_tokenizer(const LoadedModel& loaded, const std::string& file) {
  const int64_t vocab_size = loaded.config.model.vocab_size;
  const std::string& own = loaded.folder->tokenizer_file;
  if (own.empty()) return data::load_tokenizer(file);
  if (!file.empty() && file != own) {
    return data::tokenizer_of_identity(loaded.tokenizer, vocab_size, {file}, loaded.path);
  }
  if (data::names_bytes(loaded.tokenizer)) {
    return data::tokenizer_of_identity(loaded.tokenizer, vocab_size, {}, loaded.path);
  }
  return data::load_tokenizer(own);
}

}  // namespace

std::unique_ptr<data::Tokenizer> folder_tokenizer(const LoadedModel& loaded, const std::string& file) {
  const FolderText& folder = *loaded.folder;
  DLCM_CHECK_INPUT(!folder.tokenizer_file.empty() || !file.empty(), "'", loaded.path, "' has no ",
                   data::kTokenizerFile, ": put the model's there, or name it by --tokenizer");
  const int64_t vocab_size = loaded.config.model.vocab_size;
  const std::string& path = folder.tokenizer_file.empty() ? file : folder.tokenizer_file;
  auto tokenizer = base_tokenizer(loaded, file);
  DLCM_CHECK_INPUT(tokenizer->vocab_size() <= vocab_size, "'", path, "' has ", tokenizer->vocab_size(),
                   " ids, but the model in '", loaded.path, "' ", vocab_size,
                   ": it is not the model's tokenizer");
  const std::string& identity = loaded.tokenizer.empty() ? tokenizer->identity() : loaded.tokenizer;
  ModelText text = {vocab_size, identity, prompt_begin_in(path, vocab_size), folder.ends};
  return std::make_unique<ModelTokenizer>(std::move(tokenizer), std::move(text));
}

}  // namespace dlcm::apps
