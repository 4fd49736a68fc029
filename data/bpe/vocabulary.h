// The fields `model` and `added_tokens`: which id is which bytes, and which ids merge into which.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "data/bpe/added_tokens.h"
#include "data/bpe/byte_pairs.h"

namespace dlcm::data {

class JsonValue;
class Normalizer;

// Highest id of a file: what is held for each id must not grow without bound.
constexpr int64_t kMaxTokenId = (int64_t{1} << 22) - 1;

// Tokens by their text. Texts lie one behind the other, so that a hundred thousand are made and freed at
// once.
class TokenTable {
 public:
  struct Entry {
    size_t begin;
    uint32_t bytes;
    int32_t id;
  };
  void reserve(size_t tokens, size_t bytes);
  void set(std::string_view text, int32_t id);       // in place of one of the same text
  const int32_t* find(std::string_view text) const;  // null where there is none
  size_t size() const { return entries_.size(); }
  const std::vector<Entry>& entries() const { return entries_; }
  std::string_view text(const Entry& entry) const { return {texts_.data() + entry.begin, entry.bytes}; }

 private:
  size_t slot_of(std::string_view text) const;
  void rehash(size_t slots);

  std::string texts_;
  std::vector<Entry> entries_;
  std::vector<uint32_t> slots_;  // open addressing, a power of two: an entry and one, 0 where there is none
};

struct Vocabulary {
  TokenTable model;  // as written in the file, each byte a character
  std::vector<Merge> merges;
  std::array<int32_t, 256> byte_ids{};  // -1: not in the vocabulary
  bool ignore_merges = false;           // a piece that is a token is that token
  std::vector<AddedToken> raw;          // searched for in the text as it is
  std::vector<AddedToken> normalized;   // and in the normalized text
  std::vector<std::string> special;     // contents, in the order of the file
  std::unordered_map<std::string, int32_t> added;
  std::vector<std::string> bytes;  // of each id; empty where there is none

  std::optional<int32_t> find(std::string_view token) const;  // an added one first
};

// Throws InputError where something is wrong or not supported.
Vocabulary read_vocabulary(const JsonValue& root, const Normalizer& normalizer);

// The bytes of a token of the model: ByteLevel writes each byte as a character of its own. Nothing where a
// character is none of these.
std::optional<std::string> bytes_of_token(std::string_view token);
// The character that stands for a byte, as UTF-8 (OpenAI's GPT-2, encoder.py, bytes_to_unicode).
std::string character_of_byte(unsigned char byte);

}  // namespace dlcm::data
