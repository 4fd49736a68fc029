#include "data/bpe/scanners.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <vector>

#include "data/bpe/unicode_classes.h"

namespace dlcm::data {
namespace {

using Bytes = const unsigned char*;

// The character at a place: no class and no bytes at the end of the text.
struct Seen {
  uint32_t classes = 0;
  uint32_t bytes = 0;
};

// How many of the eight bytes, from the first on, are ASCII letters: without a branch for each, of which the
// last is seldom foreseen. Of each byte the highest bit tells.
size_t leading_letters(Bytes p) {
  const auto of_each = [](uint64_t byte) { return byte * 0x0101010101010101; };
  uint64_t bytes = 0;
  std::memcpy(&bytes, p, sizeof(bytes));
  const uint64_t lower = (bytes | of_each(0x20)) & of_each(0x7F);
  const uint64_t from_a = lower + of_each(0x80 - 'a');
  const uint64_t behind_z = lower + of_each(0x7F - 'z');
  const uint64_t others = ~(from_a & ~behind_z & ~bytes) & of_each(0x80);
  static_assert(std::endian::native == std::endian::little);
  return static_cast<size_t>(std::countr_zero(others)) / 8;
}

class Text {
 public:
  explicit Text(std::string_view text)
      : table_(unicode_classes()), begin_(reinterpret_cast<Bytes>(text.data())), end_(begin_ + text.size()) {}

  Bytes begin() const { return begin_; }
  Bytes end() const { return end_; }

  Seen at(Bytes p) const {
    if (p == end_) return {};
    if (*p < 0x80) return {table_[*p], 1};
    const Character character = character_at(p);
    return {table_[character.code_point], character.bytes};
  }
  bool is(Bytes p, unsigned char c) const { return p != end_ && *p == c; }

  // Behind the run of characters whose classes under `mask` are `wanted`.
  template <class Wanted>
  Bytes skip(Bytes p, const Wanted& wanted) const {
    for (Seen seen = at(p); seen.bytes != 0 && wanted(seen.classes); seen = at(p)) p += seen.bytes;
    return p;
  }

  // Behind the run of ASCII letters, or within it at the end of the text.
  Bytes skip_ascii_letters(Bytes p) const {
    size_t letters = sizeof(uint64_t);
    while (letters == sizeof(uint64_t) && end_ - p >= static_cast<std::ptrdiff_t>(sizeof(uint64_t))) {
      letters = leading_letters(p);
      p += letters;
    }
    return p;
  }

 private:
  const uint8_t* table_;
  Bytes begin_;
  Bytes end_;
};

bool is_space(uint32_t classes) {
  return (classes & kSpace) != 0;
}
bool is_line_end(uint32_t classes) {
  return (classes & kLineEnd) != 0;
}

// \s*[\r\n]+|\s+(?!\S)|\s+ at white space: up to the last line end of the run; else the run without its last
// character where something follows that is in the same text. `GoesOn` tells so of the classes behind the
// run.
template <bool kLineEnds, class GoesOn>
Bytes white_space(const Text& text, Bytes p, const GoesOn& goes_on) {
  Bytes last = p;            // where the run's last character begins
  Bytes line_end = nullptr;  // behind its last line end
  Seen seen = text.at(p);
  while (is_space(seen.classes)) {
    last = p;
    p += seen.bytes;
    if (kLineEnds && is_line_end(seen.classes)) line_end = p;
    seen = text.at(p);
  }
  if (line_end != nullptr) return line_end;
  return seen.bytes != 0 && goes_on(seen.classes) ? last : p;
}

// As above, but at least one character.
template <bool kLineEnds, class GoesOn>
Bytes white_space_piece(const Text& text, Bytes p, uint32_t first_bytes, const GoesOn& goes_on) {
  return std::max(white_space<kLineEnds>(text, p, goes_on), p + first_bytes);
}

// The bytes of 's 't 're 've 'm 'll 'd behind the apostrophe at p, 0 where it is none of them. Without case,
// U+017F is an s.
template <bool kIgnoreCase>
size_t contraction(const Text& text, Bytes p) {
  constexpr unsigned kFold = kIgnoreCase ? 0x20 : 0;
  const auto left = text.end() - p;
  if (left < 2) return 0;
  const unsigned first = p[1] | kFold;
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return 1;
  if (left < 3) return 0;
  const unsigned second = p[2] | kFold;
  if ((first == 'r' || first == 'v') && second == 'e') return 2;
  if (first == 'l' && second == 'l') return 2;
  if (kIgnoreCase && p[1] == 0xC5 && p[2] == 0xBF) return 2;
  return 0;
}

template <class Next>
void scan(std::string_view view, PieceBatch& pieces, const Next& next) {
  const Text text(view);
  Bytes p = text.begin();
  while (p != text.end()) {
    const Bytes end = next(text, p);
    pieces.add({reinterpret_cast<const char*>(p), static_cast<size_t>(end - p)});
    p = end;
  }
}

Bytes up_to_three_numbers(const Text& text, Bytes p, int most) {
  for (int count = 0; count < most; ++count) {
    const Seen seen = text.at(p);
    if ((seen.classes & kNumber) == 0) break;
    p += seen.bytes;
  }
  return p;
}

// Characters in no class of the long expression, for which nothing matches but as the prefix of a word.
constexpr uint32_t kDeepSeekMatched = kLetter | kMark | kPunctuation | kSymbol | kSpace;

// The third expression at p, in a text that ends where the characters are no longer of p's kind (ideographs
// or neither ideographs nor numbers).
Bytes deepseek_piece(const Text& text, Bytes p) {
  const Seen first = text.at(p);
  if ((first.classes & kNumber) != 0) return up_to_three_numbers(text, p, 3);
  const uint32_t kind = first.classes & kIdeograph;
  const auto same_kind = [kind](uint32_t classes) { return (classes & (kIdeograph | kNumber)) == kind; };
  const auto in_word = [&](uint32_t c) { return (c & (kLetter | kMark)) != 0 && same_kind(c); };
  const auto is_sign = [&](uint32_t c) { return (c & (kPunctuation | kSymbol)) != 0 && same_kind(c); };
  const auto is_end_of_line = [&](uint32_t c) { return is_line_end(c) && same_kind(c); };

  const auto skip_word = [&](Bytes q) {
    return text.skip(kind == 0 ? text.skip_ascii_letters(q) : q, in_word);
  };

  if (in_word(first.classes)) return skip_word(p + first.bytes);
  const Bytes behind = p + first.bytes;
  const Seen second = text.at(behind);
  if (is_sign(first.classes)) {
    const auto is_ascii_letter = [](unsigned c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; };
    if (*p < 0x80 && behind != text.end() && is_ascii_letter(*behind)) {
      Bytes end = text.skip_ascii_letters(behind);
      while (end != text.end() && is_ascii_letter(*end)) ++end;
      return end;
    }
    return text.skip(text.skip(behind, is_sign), is_end_of_line);
  }
  if (!is_line_end(first.classes) && in_word(second.classes)) return skip_word(behind);
  if (*p == ' ' && is_sign(second.classes)) return text.skip(text.skip(behind, is_sign), is_end_of_line);
  if (is_space(first.classes)) return white_space_piece<true>(text, p, first.bytes, same_kind);
  Bytes end = behind;  // a piece that nothing matches ends where something does
  for (Seen seen = second; seen.bytes != 0 && same_kind(seen.classes); seen = text.at(end)) {
    if ((seen.classes & kDeepSeekMatched) != 0 || in_word(text.at(end + seen.bytes).classes)) break;
    end += seen.bytes;
  }
  return end;
}

bool is_letter(uint32_t classes) {
  return (classes & kLetter) != 0;
}
Bytes skip_letters(const Text& text, Bytes p) {
  return text.skip(text.skip_ascii_letters(p), is_letter);
}
bool is_number(uint32_t classes) {
  return (classes & kNumber) != 0;
}
bool is_other(uint32_t classes) {
  return (classes & (kSpace | kLetter | kNumber)) == 0;
}
bool is_any(uint32_t /*classes*/) {
  return true;
}

Bytes gpt2_piece(const Text& text, Bytes p) {
  const Seen first = text.at(p);
  if (is_letter(first.classes)) return skip_letters(text, p + first.bytes);
  if (*p == '\'') {
    const size_t bytes = contraction<false>(text, p);
    if (bytes > 0) return p + 1 + bytes;
  }
  if (*p == ' ') {
    const Seen second = text.at(p + 1);
    const Bytes behind = p + 1 + second.bytes;
    if (is_letter(second.classes)) return skip_letters(text, behind);
    if (is_number(second.classes)) return text.skip(behind, is_number);
    if (second.bytes != 0 && is_other(second.classes)) return text.skip(behind, is_other);
  }
  if (is_space(first.classes)) return white_space_piece<false>(text, p, first.bytes, is_any);
  if (is_number(first.classes)) return text.skip(p + first.bytes, is_number);
  return text.skip(p + first.bytes, is_other);
}

template <int kNumbers>
Bytes llama3_piece(const Text& text, Bytes p) {
  const Seen first = text.at(p);
  const Bytes behind = p + first.bytes;
  if (is_letter(first.classes)) return skip_letters(text, behind);
  if (is_number(first.classes)) return up_to_three_numbers(text, p, kNumbers);
  if (*p == '\'') {
    const size_t bytes = contraction<true>(text, p);
    if (bytes > 0) return p + 1 + bytes;
  }
  const Seen second = text.at(behind);
  if (!is_line_end(first.classes) && is_letter(second.classes)) return skip_letters(text, behind);
  if (is_other(first.classes)) return text.skip(text.skip(behind, is_other), is_line_end);
  if (*p == ' ' && second.bytes != 0 && is_other(second.classes)) {
    return text.skip(text.skip(behind, is_other), is_line_end);
  }
  return white_space_piece<true>(text, p, first.bytes, is_any);
}

}  // namespace

void scan_deepseek(std::string_view text, PieceBatch& pieces) {
  scan(text, pieces, deepseek_piece);
}
void scan_gpt2(std::string_view text, PieceBatch& pieces) {
  scan(text, pieces, gpt2_piece);
}
void scan_llama3(std::string_view text, PieceBatch& pieces) {
  scan(text, pieces, llama3_piece<3>);
}
void scan_qwen2(std::string_view text, PieceBatch& pieces) {
  scan(text, pieces, llama3_piece<1>);
}

Scanner find_scanner(std::span<const std::string_view> expressions) {
  struct Known {
    std::vector<std::string_view> expressions;
    Scanner scanner;
  };
  const std::array<Known, 4> all = {{{{kDeepSeekNumbers, kDeepSeekIdeographs, kDeepSeekWords}, scan_deepseek},
                                     {{kGpt2}, scan_gpt2},
                                     {{kLlama3}, scan_llama3},
                                     {{kQwen2}, scan_qwen2}}};
  for (const Known& known : all) {
    if (std::ranges::equal(known.expressions, expressions)) return known.scanner;
  }
  return nullptr;
}

Cuts cuts_of(Scanner scanner) {
  if (scanner == scan_deepseek) return Cuts::deepseek;
  if (scanner == scan_gpt2) return Cuts::words;
  return scanner == nullptr ? Cuts::none : Cuts::words_and_lines;
}

}  // namespace dlcm::data
