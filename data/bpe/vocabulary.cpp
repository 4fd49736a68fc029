#include "data/bpe/vocabulary.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "data/bpe/json_value.h"
#include "data/bpe/normalizer.h"
#include "data/bpe/unicode_classes.h"
#include "data/utf8.h"
#include "tensor/check.h"

namespace dlcm::data {
namespace {

// Bytes that print stand for themselves, the others in order for U+0100 and following.
std::array<uint32_t, 256> byte_characters() {
  std::array<uint32_t, 256> characters{};
  uint32_t next = 256;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    const bool prints = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
    characters[byte] = prints ? byte : next++;
  }
  return characters;
}

void read_tokens(const JsonValue& field, Vocabulary& vocabulary) {
  if (!field.value().is_object())
    field.refuse(concat("expected an object, found ", field.value().type_name()));
  vocabulary.model.reserve(field.value().size());
  for (const auto& item : field.value().items()) {
    const bool whole = item.value().is_number_unsigned() && item.value().get<uint64_t>() <= kMaxTokenId;
    if (!whole) {
      field.refuse(concat("the token '", shown(item.key()), "' has the id ", shown(item.value().dump()),
                          ", allowed are 0 to ", kMaxTokenId));
    }
    vocabulary.model.emplace(item.key(), item.value().get<int32_t>());
  }
  if (vocabulary.model.empty()) field.refuse("it is empty");
}

// ["a", "b"] or "a b".
std::pair<std::string, std::string> parts_of_merge(const JsonValue& list, size_t i) {
  const nlohmann::json& merge = list.value()[i];
  if (merge.is_string()) {
    const std::string& text = merge.get_ref<const std::string&>();
    const size_t space = text.find(' ');
    if (space != std::string::npos && text.find(' ', space + 1) == std::string::npos) {
      return {text.substr(0, space), text.substr(space + 1)};
    }
  } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
    return {merge[0].get<std::string>(), merge[1].get<std::string>()};
  }
  list.element(i).refuse("expected two tokens, \"a b\" or [\"a\", \"b\"]");
}

void read_merges(const JsonValue& list, Vocabulary& vocabulary) {
  const auto id_of = [&](const std::string& token, size_t i) {
    const auto found = vocabulary.model.find(token);
    if (found == vocabulary.model.end()) {
      list.element(i).refuse(concat("the token '", shown(token), "' is not in the vocabulary"));
    }
    return found->second;
  };
  vocabulary.merges.reserve(list.size());
  for (size_t i = 0; i < list.size(); ++i) {
    const nlohmann::json& merge = list.value()[i];
    // Of a merges.txt whose lines were copied; Hugging Face passes over it.
    if (merge.is_string() && merge.get_ref<const std::string&>().starts_with("#version")) continue;
    const auto [left, right] = parts_of_merge(list, i);
    if (left.empty() || right.empty()) list.element(i).refuse("an empty token");
    vocabulary.merges.push_back({id_of(left, i), id_of(right, i), id_of(left + right, i)});
  }
}

void set_bytes(const JsonValue& place, int32_t id, const std::string& bytes, Vocabulary& vocabulary) {
  const auto index = static_cast<size_t>(id);
  if (vocabulary.bytes.size() <= index) vocabulary.bytes.resize(index + 1);
  if (!vocabulary.bytes[index].empty()) place.refuse(concat("the id ", id, " is given to two tokens"));
  vocabulary.bytes[index] = bytes;
}

// Options that are harmless where every byte is in the vocabulary, as then no text is unknown.
void check_options(const JsonValue& model, bool all_bytes) {
  if (model.has("dropout") && model["dropout"].value() != 0) {
    model["dropout"].refuse("dropout is not supported");
  }
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (model.has(key) && !model[key].string().empty()) model[key].refuse(concat(key, " is not supported"));
  }
  if (all_bytes) return;
  if (model.has("unk_token")) {
    model["unk_token"].refuse("an unk_token is not supported where bytes are missing in the vocabulary");
  }
  if (model.boolean_or("byte_fallback", false)) {
    model["byte_fallback"].refuse("byte_fallback is not supported where bytes are missing in the vocabulary");
  }
}

void read_model(const JsonValue& model, Vocabulary& vocabulary) {
  if (model.has("type") && model.type() != "BPE") model["type"].refuse_name(model.type(), {"BPE"});
  read_tokens(model["vocab"], vocabulary);
  read_merges(model["merges"], vocabulary);
  vocabulary.ignore_merges = model.boolean_or("ignore_merges", false);
  bool all_bytes = true;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const auto found = vocabulary.model.find(character_of_byte(static_cast<unsigned char>(byte)));
    vocabulary.byte_ids[byte] = found == vocabulary.model.end() ? -1 : found->second;
    all_bytes = all_bytes && found != vocabulary.model.end();
  }
  check_options(model, all_bytes);
  for (const auto& [token, id] : vocabulary.model) {
    set_bytes(model["vocab"], id, bytes_of_token(token).value_or(token), vocabulary);
  }
}

// Hugging Face gives ids by content and order, not by what the file says; a file where they differ has two
// meanings.
void check_id(const JsonValue& entry, const std::string& content, int64_t id, int64_t& next_id,
              Vocabulary& vocabulary) {
  const auto in_model = vocabulary.model.find(content);
  const int64_t expected = in_model == vocabulary.model.end() ? next_id++ : in_model->second;
  if (id != expected) {
    entry.refuse(concat("the token '", shown(content), "' has the id ", id, ", expected ", expected,
                        in_model == vocabulary.model.end() ? ", the next one" : ", as in model.vocab"));
  }
  if (in_model == vocabulary.model.end()) set_bytes(entry, static_cast<int32_t>(id), content, vocabulary);
  vocabulary.bytes[static_cast<size_t>(id)] = content;
}

void read_added_token(const JsonValue& entry, const Normalizer& normalizer, int64_t& next_id,
                      Vocabulary& vocabulary) {
  AddedToken token;
  token.content = entry["content"].string();
  token.id = static_cast<int32_t>(entry["id"].integer(0, kMaxTokenId));
  token.single_word = entry["single_word"].boolean();
  token.left_strip = entry["lstrip"].boolean();
  token.right_strip = entry["rstrip"].boolean();
  const bool is_normalized = entry["normalized"].boolean();
  if (token.content.empty()) entry.refuse("an empty content");
  if (!vocabulary.added.emplace(token.content, token.id).second) {
    entry.refuse(concat("the token '", shown(token.content), "' is there twice"));
  }
  check_id(entry, token.content, token.id, next_id, vocabulary);
  if (entry["special"].boolean()) vocabulary.special.push_back(token.content);
  if (is_normalized) {
    normalizer.normalize(token.content);
    if (token.content.empty()) entry.refuse("nothing is left of the content when it is normalized");
  }
  (is_normalized ? vocabulary.normalized : vocabulary.raw).push_back(std::move(token));
}

void read_added_tokens(const JsonValue& list, const Normalizer& normalizer, Vocabulary& vocabulary) {
  auto next_id = static_cast<int64_t>(vocabulary.model.size());
  for (size_t i = 0; i < list.size(); ++i) {
    read_added_token(list.element(i), normalizer, next_id, vocabulary);
  }
  std::unordered_set<std::string> contents;
  for (const AddedToken& token : vocabulary.normalized) {
    if (!contents.insert(token.content).second) {
      list.refuse(concat("two tokens are '", shown(token.content), "' when they are normalized"));
    }
  }
}

}  // namespace

std::optional<int32_t> Vocabulary::find(const std::string& token) const {
  if (const auto found = added.find(token); found != added.end()) return found->second;
  if (const auto found = model.find(token); found != model.end()) return found->second;
  return std::nullopt;
}

Vocabulary read_vocabulary(const JsonValue& root, const Normalizer& normalizer) {
  Vocabulary vocabulary;
  read_model(root["model"], vocabulary);
  if (root.has("added_tokens")) read_added_tokens(root["added_tokens"], normalizer, vocabulary);
  return vocabulary;
}

std::string character_of_byte(unsigned char byte) {
  static const std::array<uint32_t, 256> characters = byte_characters();
  std::string text;
  append_utf8(characters[byte], text);
  return text;
}

std::optional<std::string> bytes_of_token(std::string_view token) {
  constexpr uint32_t kLast = 0x143;
  static const std::array<int, kLast + 1> bytes = [] {
    std::array<int, kLast + 1> table{};
    table.fill(-1);
    const std::array<uint32_t, 256> characters = byte_characters();
    for (int byte = 0; byte < 256; ++byte) table[characters[static_cast<size_t>(byte)]] = byte;
    return table;
  }();
  std::string result;
  const auto* p = reinterpret_cast<const unsigned char*>(token.data());
  for (size_t at = 0; at < token.size();) {
    const Character character = character_at(p + at);
    if (character.code_point > kLast || bytes[character.code_point] < 0) return std::nullopt;
    result += static_cast<char>(bytes[character.code_point]);
    at += character.bytes;
  }
  return result;
}

}  // namespace dlcm::data
