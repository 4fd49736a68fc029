#include "data/bpe/vocabulary.h"

#include <algorithm>
#include <bit>
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
  constexpr size_t kBytesOfToken = 10;  // about
  const simdjson::dom::object tokens = field.object();
  vocabulary.model.reserve(tokens.size(), tokens.size() * kBytesOfToken);
  for (const auto item : tokens) {
    const auto id = item.value.get_uint64();
    if (id.error() != simdjson::SUCCESS || id.value_unsafe() > kMaxTokenId) {
      field.refuse(concat("the token '", shown(item.key), "' has the id ",
                          shown(simdjson::minify(item.value)), ", allowed are 0 to ", kMaxTokenId));
    }
    vocabulary.model.set(item.key, static_cast<int32_t>(id.value_unsafe()));
  }
  if (vocabulary.model.size() == 0) field.refuse("it is empty");
}

// ["a", "b"] or "a b".
std::pair<std::string_view, std::string_view> parts_of_merge(simdjson::dom::element merge,
                                                             const JsonValue& list, size_t i) {
  std::string_view text;
  simdjson::dom::array parts;
  if (merge.get(text) == simdjson::SUCCESS) {
    const size_t space = text.find(' ');
    if (space != std::string_view::npos && text.find(' ', space + 1) == std::string_view::npos) {
      return {text.substr(0, space), text.substr(space + 1)};
    }
  } else if (merge.get(parts) == simdjson::SUCCESS && parts.size() == 2) {
    std::string_view left, right;
    if (parts.at(0).get(left) == simdjson::SUCCESS && parts.at(1).get(right) == simdjson::SUCCESS) {
      return {left, right};
    }
  }
  list.element(i).refuse("expected two tokens, \"a b\" or [\"a\", \"b\"]");
}

void read_merges(const JsonValue& list, Vocabulary& vocabulary) {
  const auto id_of = [&](std::string_view token, size_t i) {
    const int32_t* found = vocabulary.model.find(token);
    if (found == nullptr) {
      list.element(i).refuse(concat("the token '", shown(token), "' is not in the vocabulary"));
    }
    return *found;
  };
  vocabulary.merges.reserve(list.array().size());
  std::string merged;
  size_t i = 0;
  for (const auto merge : list.array()) {
    const size_t at = i++;
    // Of a merges.txt whose lines were copied; Hugging Face passes over it.
    if (merge.is_string() && merge.get_string().value_unsafe().starts_with("#version")) continue;
    const auto [left, right] = parts_of_merge(merge, list, at);
    if (left.empty() || right.empty()) list.element(at).refuse("an empty token");
    merged.assign(left).append(right);
    vocabulary.merges.push_back({id_of(left, at), id_of(right, at), id_of(merged, at)});
  }
}

void set_bytes(const JsonValue& place, int32_t id, std::string bytes, Vocabulary& vocabulary) {
  const auto index = static_cast<size_t>(id);
  if (vocabulary.bytes.size() <= index) vocabulary.bytes.resize(index + 1);
  if (!vocabulary.bytes[index].empty()) place.refuse(concat("the id ", id, " is given to two tokens"));
  vocabulary.bytes[index] = std::move(bytes);
}

// Options that are harmless where every byte is in the vocabulary, as then no text is unknown.
void check_options(const JsonValue& model, bool all_bytes) {
  if (model.has("dropout")) {
    const auto dropout = model["dropout"].value().get_double();
    if (dropout.error() != simdjson::SUCCESS || dropout.value_unsafe() != 0) {
      model["dropout"].refuse("dropout is not supported");
    }
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
    const int32_t* found = vocabulary.model.find(character_of_byte(static_cast<unsigned char>(byte)));
    vocabulary.byte_ids[byte] = found == nullptr ? -1 : *found;
    all_bytes = all_bytes && found != nullptr;
  }
  check_options(model, all_bytes);
  vocabulary.bytes.reserve(vocabulary.model.size());
  const JsonValue place = model["vocab"];
  for (const TokenTable::Entry& entry : vocabulary.model.entries()) {
    const std::string_view token = vocabulary.model.text(entry);
    std::optional<std::string> bytes = bytes_of_token(token);
    set_bytes(place, entry.id, bytes ? std::move(*bytes) : std::string(token), vocabulary);
  }
}

// Hugging Face gives ids by content and order, not by what the file says; a file where they differ has two
// meanings.
void check_id(const JsonValue& entry, const std::string& content, int64_t id, int64_t& next_id,
              Vocabulary& vocabulary) {
  const int32_t* in_model = vocabulary.model.find(content);
  const int64_t expected = in_model == nullptr ? next_id++ : *in_model;
  if (id != expected) {
    entry.refuse(concat("the token '", shown(content), "' has the id ", id, ", expected ", expected,
                        in_model == nullptr ? ", the next one" : ", as in model.vocab"));
  }
  if (in_model == nullptr) set_bytes(entry, static_cast<int32_t>(id), content, vocabulary);
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
  for (const JsonValue& entry : list.elements()) read_added_token(entry, normalizer, next_id, vocabulary);
  std::unordered_set<std::string> contents;
  for (const AddedToken& token : vocabulary.normalized) {
    if (!contents.insert(token.content).second) {
      list.refuse(concat("two tokens are '", shown(token.content), "' when they are normalized"));
    }
  }
}

}  // namespace

void TokenTable::reserve(size_t tokens, size_t bytes) {
  texts_.reserve(bytes);
  entries_.reserve(tokens);
  rehash(std::bit_ceil(2 * tokens + 1));
}

// Of the text's entry, or the free one that it would get.
size_t TokenTable::slot_of(std::string_view token) const {
  const size_t mask = slots_.size() - 1;
  size_t slot = std::hash<std::string_view>()(token) & mask;
  while (slots_[slot] != 0 && text(entries_[slots_[slot] - 1]) != token) slot = (slot + 1) & mask;
  return slot;
}

void TokenTable::rehash(size_t slots) {
  slots_.assign(slots, 0);
  for (size_t i = 0; i < entries_.size(); ++i) {
    slots_[slot_of(text(entries_[i]))] = static_cast<uint32_t>(i + 1);
  }
}

void TokenTable::set(std::string_view token, int32_t id) {
  if (slots_.size() <= 2 * entries_.size()) rehash(std::max<size_t>(16, 2 * slots_.size()));
  const size_t slot = slot_of(token);
  if (slots_[slot] != 0) {
    entries_[slots_[slot] - 1].id = id;
    return;
  }
  entries_.push_back({texts_.size(), static_cast<uint32_t>(token.size()), id});
  texts_ += token;
  slots_[slot] = static_cast<uint32_t>(entries_.size());
}

const int32_t* TokenTable::find(std::string_view token) const {
  if (slots_.empty()) return nullptr;
  const uint32_t entry = slots_[slot_of(token)];
  return entry == 0 ? nullptr : &entries_[entry - 1].id;
}

std::optional<int32_t> Vocabulary::find(std::string_view token) const {
  if (const auto found = added.find(std::string(token)); found != added.end()) return found->second;
  if (const int32_t* found = model.find(token)) return *found;
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
