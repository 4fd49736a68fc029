#include "data/bpe/text_cut.h"

#include "data/bpe/unicode_classes.h"

namespace dlcm::data {
namespace {

size_t pair_index(char before, char behind) {
  return static_cast<size_t>(static_cast<unsigned char>(before)) * 256 + static_cast<unsigned char>(behind);
}

bool begins_character(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0) != 0x80;
}

// Of the character at `at`, which ends at `end` or before it: -1 where it does not, as the text is not known
// to be UTF-8.
int classes_at(std::string_view text, size_t at, size_t end) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data()) + at;
  const size_t needed = *bytes < 0x80 ? 1 : *bytes < 0xE0 ? 2 : *bytes < 0xF0 ? 3 : 4;
  if (at + needed > end) return -1;
  const uint32_t code_point = character_at(bytes).code_point;
  return code_point < kCodePoints ? unicode_classes()[code_point] : -1;
}

}  // namespace

TextCutter::TextCutter(Cuts cuts, CutCharacters characters, const std::vector<std::string_view>& kept)
    : cuts_(cuts), characters_(characters), kept_pairs_(size_t{256} * 256, false) {
  for (const std::string_view text : kept) {
    for (size_t i = 1; i < text.size(); ++i) kept_pairs_[pair_index(text[i - 1], text[i])] = true;
  }
}

bool TextCutter::is_cut(std::string_view text, size_t before, size_t at) const {
  if (kept_pairs_[pair_index(text[at - 1], text[at])]) return false;
  const auto is_ascii = [&](size_t i) { return static_cast<unsigned char>(text[i]) < 0x80; };
  if (characters_ == CutCharacters::ascii && !(is_ascii(before) && is_ascii(at))) return false;
  const int left = classes_at(text, before, at);
  const int right = classes_at(text, at, text.size());
  if (left < 0 || right < 0) return false;
  const auto ends_run = [&](int of) { return (left & of) != 0 && (right & of) == 0; };
  if (ends_run(kNumber) || ends_run(cuts_ == Cuts::deepseek ? kLetter | kMark : kLetter)) return true;
  if ((left & kSpace) == 0 && text[at] == ' ') return true;
  if (cuts_ != Cuts::words && (left & kLineEnd) != 0 && (right & kSpace) == 0) return true;
  return cuts_ == Cuts::deepseek && (left & kIdeograph) != (right & kIdeograph);
}

size_t TextCutter::last_cut(std::string_view text, size_t from) const {
  if (cuts_ == Cuts::none) return 0;
  size_t at = text.size();
  while (at > from) {
    size_t before = at - 1;
    while (before > 0 && !begins_character(text[before])) --before;
    if (at < text.size() && is_cut(text, before, at)) return at;
    at = before;
  }
  return 0;
}

}  // namespace dlcm::data
