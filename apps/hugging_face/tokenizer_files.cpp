#include "apps/hugging_face/tokenizer_files.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "data/bpe/json_value.h"
#include "data/bpe/tokenizer_file.h"
#include "data/bpe/vocabulary.h"
#include "data/json_events.h"
#include "data/sha256.h"
#include "data/tokenizer.h"
#include "tensor/check.h"

namespace dlcm::apps {
namespace {

namespace fs = std::filesystem;
using data::JsonValue;
using Json = nlohmann::ordered_json;

constexpr size_t kMostFileBytes = size_t{512} << 20;
constexpr char kEnd[] = "<|endoftext|>";

// Puts the token in front of a text, and of the second of a pair.
Json begin_template(const std::string& token, int32_t id) {
  const auto special = [&](int type) { return Json{{"SpecialToken", {{"id", token}, {"type_id", type}}}}; };
  const auto text = [](const char* name, int type) {
    return Json{{"Sequence", {{"id", name}, {"type_id", type}}}};
  };
  Json ids = Json::array({id});
  Json tokens = Json::array({token});
  Json field = {{"type", "TemplateProcessing"},
                {"single", Json::array({special(0), text("A", 0)})},
                {"pair", Json::array({special(0), text("A", 0), special(1), text("B", 1)})}};
  field["special_tokens"][token] = {{"id", token}, {"ids", ids}, {"tokens", tokens}};
  return field;
}

// How the token is written.
std::string token_of(const JsonValue& tokenizer, int32_t id) {
  if (tokenizer.has("added_tokens")) {
    for (const JsonValue& token : tokenizer["added_tokens"].elements()) {
      if (token["id"].integer(0, data::kMaxTokenId) == id) return std::string(token["content"].string());
    }
  }
  for (const auto [token, number] : tokenizer["model"]["vocab"].object()) {
    if (number.get_int64().value_unsafe() == id) return std::string(token);
  }
  tokenizer.refuse(concat("there is no token with the id ", id));
}

// The tokenizer with another post-processor. Field by field: an ordered_json of all of it would take the
// square of the vocabulary.
std::string with_post_processor(const JsonValue& tokenizer, const Json& post_processor) {
  std::string text;
  bool is_there = false;
  const auto add = [&](std::string_view key, const std::string& value) {
    text += concat(text.empty() ? "{" : ",", data::json_string(std::string(key)), ":", value);
  };
  for (const auto [key, value] : tokenizer.object()) {
    const bool is_it = key == "post_processor";
    add(key, is_it ? post_processor.dump() : simdjson::minify(value));
    is_there = is_there || is_it;
  }
  if (!is_there) add("post_processor", post_processor.dump());
  return text + "}\n";
}

// The file of the model's tokenizer; empty where it is nowhere.
std::string find_file(const LoadedModel& loaded, const std::string& named) {
  if (!named.empty()) {
    const std::string found = tokenizer_file_identity(data::read_file(named, kMostFileBytes));
    DLCM_CHECK_INPUT(found == loaded.tokenizer, "'", named, "' is '", found, "', but the tokenizer of '",
                     loaded.path, "' is '", loaded.tokenizer, "'");
    return named;
  }
  for (const std::string& place : loaded.tokenizer_places) {
    std::error_code error;
    if (fs::exists(place, error) &&
        tokenizer_file_identity(data::read_file(place, kMostFileBytes)) == loaded.tokenizer)
      return place;
  }
  return "";
}

// transformers 5 makes tokenizers of its own of other classes' names. A template of conversations is kept.
std::string config_text(const JsonValue& tokenizer, const TokenizerFiles& files, const std::string& beside,
                        int64_t context) {
  Json config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                 {"bos_token", token_of(tokenizer, files.begin)},
                 {"eos_token", token_of(tokenizer, files.end)},
                 {"clean_up_tokenization_spaces", false},
                 {"model_max_length", context}};
  std::error_code error;
  if (!beside.empty() && fs::exists(beside, error)) {
    const data::JsonDocument old(beside, data::read_file(beside, kMostFileBytes));
    if (old.root().has("chat_template"))
      config["chat_template"] = Json::parse(old.root()["chat_template"].dump());
  }
  return config.dump(2) + "\n";
}

}  // namespace

std::string tokenizer_file_identity(const std::string& file_bytes) {
  return concat(data::kTokenizerFile, " sha256=", data::sha256(file_bytes));
}

TokenizerFiles made_tokenizer_files(const LoadedModel& loaded, const std::string& file) {
  TokenizerFiles files;
  const bool is_bytes = data::names_bytes(loaded.tokenizer);
  const std::string from = is_bytes ? "" : find_file(loaded, file);
  if (!is_bytes && from.empty()) return files;
  const std::unique_ptr<data::Tokenizer> tokenizer = data::load_tokenizer(is_bytes ? "bytes" : from);
  const data::JsonDocument document(
      from, is_bytes ? data::bytes_tokenizer_json(kEnd) : data::read_file(from, kMostFileBytes));
  const JsonValue json = document.root();
  files.begin = tokenizer->begin_id();
  files.end = tokenizer->end_id();
  files.tokenizer = with_post_processor(json, begin_template(token_of(json, files.begin), files.begin));
  const std::string beside =
      is_bytes ? "" : (fs::path(from).parent_path() / data::kTokenizerConfigFile).string();
  files.tokenizer_config = config_text(json, files, beside, loaded.config.train.context);
  return files;
}

}  // namespace dlcm::apps
