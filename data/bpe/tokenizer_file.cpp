#include "data/bpe/tokenizer_file.h"

#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "data/bpe/scanners.h"
#include "data/bpe/vocabulary.h"

namespace dlcm::data {
namespace {

using Json = nlohmann::ordered_json;

Json special_token(size_t id, const std::string& content) {
  return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", true}};
}

Json added_tokens(const TrainedTokens& trained) {
  Json list = Json::array();
  for (size_t id = 0; id < trained.special_tokens; ++id) {
    list.push_back(special_token(id, trained.tokens[id]));
  }
  return list;
}

Json byte_level() {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}};
}

Json pre_tokenizer() {
  Json steps = Json::array();
  for (const std::string_view expression : {kDeepSeekNumbers, kDeepSeekIdeographs, kDeepSeekWords}) {
    steps.push_back({{"type", "Split"},
                     {"pattern", {{"Regex", expression}}},
                     {"behavior", "Isolated"},
                     {"invert", false}});
  }
  steps.push_back(byte_level());
  return {{"type", "Sequence"}, {"pretokenizers", std::move(steps)}};
}

Json model_of(Json vocabulary, Json merges) {
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", nullptr},
          {"continuing_subword_prefix", nullptr},
          {"end_of_word_suffix", nullptr},
          {"fuse_unk", false},
          {"byte_fallback", false},
          {"ignore_merges", false},
          {"vocab", std::move(vocabulary)},
          {"merges", std::move(merges)}};
}

// Merges as "a b", which older versions of the library read too: no token holds a space.
Json model(const TrainedTokens& trained) {
  Json vocabulary = Json::object();
  auto& entries = vocabulary.get_ref<Json::object_t&>();
  entries.reserve(trained.tokens.size());
  // Not by operator[], which would look through all that are there.
  for (size_t id = 0; id < trained.tokens.size(); ++id) {
    entries.std::vector<Json::object_t::value_type>::emplace_back(trained.tokens[id], id);
  }
  Json merges = Json::array();
  for (const Merge& merge : trained.merges) {
    merges.push_back(trained.tokens[static_cast<size_t>(merge.left)] + " " +
                     trained.tokens[static_cast<size_t>(merge.right)]);
  }
  return model_of(std::move(vocabulary), std::move(merges));
}

// A byte-level BPE without normalizer.
std::string file_of(Json added, Json pre_tokenizer, Json model) {
  const Json file = {{"version", "1.0"},          {"truncation", nullptr},
                     {"padding", nullptr},        {"added_tokens", std::move(added)},
                     {"normalizer", nullptr},     {"pre_tokenizer", std::move(pre_tokenizer)},
                     {"post_processor", nullptr}, {"decoder", byte_level()},
                     {"model", std::move(model)}};
  return file.dump(1) + "\n";
}

}  // namespace

std::string tokenizer_json(const TrainedTokens& trained) {
  return file_of(added_tokens(trained), pre_tokenizer(), model(trained));
}

std::string bytes_tokenizer_json(const std::string& end) {
  constexpr int kBytes = 256;
  Json vocabulary = Json::object();
  for (int byte = 0; byte < kBytes; ++byte) {
    vocabulary[character_of_byte(static_cast<unsigned char>(byte))] = byte;
  }
  return file_of(Json::array({special_token(kBytes, end)}), byte_level(),
                 model_of(std::move(vocabulary), Json::array()));
}

std::string tokenizer_config_json() {
  const Json file = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                     {"bos_token", kBeginOfText},
                     {"eos_token", kEndOfText},
                     {"pad_token", kPad},
                     {"clean_up_tokenization_spaces", false}};
  return file.dump(1) + "\n";
}

}  // namespace dlcm::data
