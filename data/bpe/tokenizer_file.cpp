#include "data/bpe/tokenizer_file.h"

#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "data/bpe/scanners.h"

namespace dlcm::data {
namespace {

using Json = nlohmann::ordered_json;

Json added_tokens(const TrainedTokens& trained) {
  Json list = Json::array();
  for (size_t id = 0; id < trained.special_tokens; ++id) {
    list.push_back({{"id", id},
                    {"content", trained.tokens[id]},
                    {"single_word", false},
                    {"lstrip", false},
                    {"rstrip", false},
                    {"normalized", false},
                    {"special", true}});
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

}  // namespace

std::string tokenizer_json(const TrainedTokens& trained) {
  const Json file = {{"version", "1.0"},          {"truncation", nullptr},
                     {"padding", nullptr},        {"added_tokens", added_tokens(trained)},
                     {"normalizer", nullptr},     {"pre_tokenizer", pre_tokenizer()},
                     {"post_processor", nullptr}, {"decoder", byte_level()},
                     {"model", model(trained)}};
  return file.dump(1) + "\n";
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
