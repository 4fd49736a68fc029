// Tokens that are cut out of the text as a whole, before anything else: begin, end, tools and the like.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/bpe/regex.h"

namespace dlcm::data {

struct AddedToken {
  std::string content;  // as searched for: normalized, where `normalized` says so
  int32_t id = 0;
  bool single_word = false;  // none where a letter, mark, digit or _ touches it
  bool left_strip = false;   // takes the white space before it
  bool right_strip = false;  // and behind it
};

class AddedTokens {
 public:
  static constexpr int32_t kText = -1;
  struct Section {
    Span span;
    int32_t id;  // of the token, or kText
  };

  // Contents are not empty and differ.
  explicit AddedTokens(std::vector<AddedToken> tokens);
  bool empty() const { return tokens_.empty(); }

  // Appends the sections of the text: the leftmost token, the longest of those that begin there, then the
  // next one behind it. The text must be UTF-8. Time is linear in it, times the longest content in the worst
  // case.
  void find(std::string_view text, std::vector<Section>& sections) const;

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Node {
    uint32_t token = kNone;  // that ends here
    uint32_t child = kNone;  // first of them
    uint32_t sibling = kNone;
    unsigned char byte = 0;
  };
  void insert(uint32_t token);
  uint32_t child_of(uint32_t node, unsigned char byte) const;
  uint32_t longest_at(std::string_view text, size_t begin) const;
  size_t next_candidate(std::string_view text, size_t from) const;

  std::vector<AddedToken> tokens_;
  std::vector<Node> nodes_;  // a trie, its root first
  std::vector<bool> begins_token_;
  int only_first_byte_ = -1;  // where all tokens begin with the same
};

}  // namespace dlcm::data
