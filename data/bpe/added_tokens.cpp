#include "data/bpe/added_tokens.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "data/bpe/unicode_classes.h"

namespace dlcm::data {
namespace {

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

size_t previous_character(std::string_view text, size_t at) {
  do --at;
  while (at > 0 && (bytes_of(text)[at] & 0xC0) == 0x80);
  return at;
}

bool is_space_at(std::string_view text, size_t at) {
  return (unicode_classes()[character_at(bytes_of(text) + at).code_point] & kSpace) != 0;
}

// \w of Rust's regular expressions: alphabetic characters (with the letters in circles and squares, which are
// symbols), marks, digits, what connects words, and the joiners.
bool is_word_at(std::string_view text, size_t at) {
  static const Regex word(
      "[\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\u24b6-\\u24e9\\x{1f130}-\\x{1f149}\\x{1f150}-\\x{1f169}"
      "\\x{1f170}-\\x{1f189}\\u200c\\u200d]",
      "added tokens");
  std::vector<Span> matches;
  word.find_all(text.substr(at, character_at(bytes_of(text) + at).bytes), matches);
  return !matches.empty();
}

bool stands_alone(std::string_view text, const Span& span) {
  if (span.begin > 0 && is_word_at(text, previous_character(text, span.begin))) return false;
  return span.end == text.size() || !is_word_at(text, span.end);
}

// Where the white space before `end` begins, not before `limit`.
size_t space_before(std::string_view text, size_t end, size_t limit) {
  while (end > limit) {
    const size_t before = previous_character(text, end);
    if (before < limit || !is_space_at(text, before)) break;
    end = before;
  }
  return end;
}

size_t space_behind(std::string_view text, size_t begin) {
  while (begin < text.size() && is_space_at(text, begin)) begin += character_at(bytes_of(text) + begin).bytes;
  return begin;
}

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens)
    : tokens_(std::move(tokens)), nodes_(1), begins_token_(256, false) {
  for (uint32_t token = 0; token < tokens_.size(); ++token) insert(token);
  if (std::count(begins_token_.begin(), begins_token_.end(), true) == 1) {
    only_first_byte_ = static_cast<unsigned char>(tokens_[0].content[0]);
  }
}

void AddedTokens::insert(uint32_t token) {
  const std::string& content = tokens_[token].content;
  begins_token_[static_cast<unsigned char>(content[0])] = true;
  uint32_t node = 0;
  for (const char c : content) {
    const auto byte = static_cast<unsigned char>(c);
    uint32_t child = child_of(node, byte);
    if (child == kNone) {
      child = static_cast<uint32_t>(nodes_.size());
      nodes_.push_back({kNone, kNone, nodes_[node].child, byte});
      nodes_[node].child = child;
    }
    node = child;
  }
  nodes_[node].token = token;
}

uint32_t AddedTokens::child_of(uint32_t node, unsigned char byte) const {
  uint32_t child = nodes_[node].child;
  while (child != kNone && nodes_[child].byte != byte) child = nodes_[child].sibling;
  return child;
}

uint32_t AddedTokens::longest_at(std::string_view text, size_t begin) const {
  uint32_t longest = kNone;
  uint32_t node = 0;
  for (size_t at = begin; at < text.size(); ++at) {
    node = child_of(node, static_cast<unsigned char>(text[at]));
    if (node == kNone) break;
    if (nodes_[node].token != kNone) longest = nodes_[node].token;
  }
  return longest;
}

size_t AddedTokens::next_candidate(std::string_view text, size_t from) const {
  if (only_first_byte_ >= 0) {
    const void* found = std::memchr(text.data() + from, only_first_byte_, text.size() - from);
    return found == nullptr ? text.size()
                            : static_cast<size_t>(static_cast<const char*>(found) - text.data());
  }
  while (from < text.size() && !begins_token_[static_cast<unsigned char>(text[from])]) ++from;
  return from;
}

// What a token strips does not move where the next is looked for, as with Hugging Face: one may lie within.
void AddedTokens::find(std::string_view text, std::vector<Section>& sections) const {
  size_t done = 0;
  size_t space_end = 0;  // of the last run that was stripped
  size_t at = tokens_.empty() ? text.size() : next_candidate(text, 0);
  while (at < text.size()) {
    const uint32_t found = longest_at(text, at);
    if (found == kNone) {
      at = next_candidate(text, at + 1);
      continue;
    }
    const AddedToken& token = tokens_[found];
    Span span{at, at + token.content.size()};
    at = next_candidate(text, span.end);
    if (token.single_word && !stands_alone(text, span)) continue;
    if (token.left_strip)
      span.begin = std::max(done, space_before(text, span.begin, std::min(done, span.begin)));
    if (token.right_strip) {
      // A run of white space is gone through once, however many tokens lie in it.
      if (span.end >= space_end) space_end = space_behind(text, span.end);
      span.end = space_end;
    }
    if (span.begin >= span.end) continue;  // all of it was stripped by the token before
    if (done < span.begin) sections.push_back({{done, span.begin}, kText});
    sections.push_back({span, token.id});
    done = span.end;
  }
  if (done < text.size()) sections.push_back({{done, text.size()}, kText});
}

}  // namespace dlcm::data
