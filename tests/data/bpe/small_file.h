// A small tokenizer.json that tests change: the 256 bytes and a few merges.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "data/bpe/json_tokenizer.h"
#include "data/bpe/vocabulary.h"
#include "tests/data/temporary_folder.h"

namespace dlcm::test {

using Json = nlohmann::json;

inline Json byte_level(bool add_prefix_space = false, bool use_regex = false) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", add_prefix_space},
          {"trim_offsets", true},
          {"use_regex", use_regex}};
}

inline Json added_token(int id, const std::string& content) {
  return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", true}};
}

inline Json small_file() {
  Json vocab = Json::object();
  for (int byte = 0; byte < 256; ++byte) {
    vocab[data::character_of_byte(static_cast<unsigned char>(byte))] = byte;
  }
  vocab["ab"] = 256;
  vocab["abc"] = 257;
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", Json::array({added_token(258, "<s>")})},
          {"normalizer", nullptr},
          {"pre_tokenizer", byte_level()},
          {"post_processor", nullptr},
          {"decoder", byte_level()},
          {"model",
           {{"type", "BPE"}, {"vocab", vocab}, {"merges", Json::array({"a b", Json::array({"ab", "c"})})}}}};
}

inline Json split_step(const std::string& regex, const std::string& behavior = "Isolated",
                       bool invert = false) {
  return {{"type", "Split"}, {"pattern", {{"Regex", regex}}}, {"behavior", behavior}, {"invert", invert}};
}

inline Json sequence_of(Json steps) {
  return {{"type", "Sequence"}, {"pretokenizers", std::move(steps)}};
}

// What loading the text says; a message that begins otherwise where it loads.
inline std::string load_message(const std::string& text) {
  const TemporaryFolder folder;
  write_bytes(folder / "tokenizer.json", text);
  return message_of<InputError>([&] { data::JsonTokenizer{folder / "tokenizer.json"}; });
}

}  // namespace dlcm::test
