#include "data/bpe/oniguruma_syntax.h"

#include <array>
#include <cstdio>
#include <utility>
#include <vector>

#include "data/bpe/newer_characters.h"
#include "data/utf8.h"
#include "tensor/check.h"

namespace dlcm::data {
namespace {

// Of \s: Unicode's White_Space. PCRE2's \s also has U+180E.
constexpr std::string_view kWhiteSpace = "\\p{Z}\\x09-\\x0d\\x{85}";

constexpr std::array<std::string_view, 35> kCategories = {
    "L",  "Lu", "Ll", "Lt", "Lm", "Lo", "M",  "Mn", "Mc", "Me", "N", "Nd",
    "Nl", "No", "P",  "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "S", "Sm",
    "Sc", "Sk", "So", "Z",  "Zs", "Zl", "Zp", "Cc", "Cf", "Co", "Cs"};
constexpr std::array<std::string_view, 10> kScripts = {"Han",      "Hiragana", "Katakana", "Hangul", "Latin",
                                                       "Cyrillic", "Greek",    "Arabic",   "Hebrew", "Thai"};

template <class List>
bool holds(const List& list, std::string_view name) {
  for (const std::string_view entry : list) {
    if (entry == name) return true;
  }
  return false;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_hexadecimal(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::string code_point_range(uint32_t first, uint32_t last) {
  char text[40];
  std::snprintf(text, sizeof(text), "\\x{%X}-\\x{%X}", static_cast<unsigned>(first),
                static_cast<unsigned>(last));
  return text;
}

// The inside of a [class] with all characters of a general category or of a script, as of Unicode 16.
std::string category_members(std::string_view name) {
  std::string members = concat("\\p{", name, "}");
  for (const CategoryRange& range : kNewerCharacters) {
    const bool inside = std::string_view(range.category).starts_with(name);
    if (inside) members += code_point_range(range.first, range.last);
  }
  return members;
}
std::string script_members(std::string_view name) {
  std::string members = concat("\\p{sc:", name, "}");
  for (const ScriptRange& range : kNewerOfScripts) {
    if (range.script == name) members += code_point_range(range.first, range.last);
  }
  return members;
}

class Translator {
 public:
  Translator(std::string_view pattern, const std::string& place) : pattern_(pattern), place_(place) {}

  std::string translate() {
    while (!done()) {
      const char c = pattern_[at_];
      if (c == '\\') {
        escape(false);
      } else if (c == '[') {
        character_class();
      } else if (c == '(') {
        group();
      } else if (c == ')') {
        close_group();
      } else if (c == '{' || c == '*' || c == '+' || c == '?') {
        quantifier();
      } else {
        literal();
      }
    }
    return std::move(out_);
  }

 private:
  bool done() const { return at_ >= pattern_.size(); }
  char peek(size_t ahead = 0) const { return at_ + ahead < pattern_.size() ? pattern_[at_ + ahead] : '\0'; }
  bool next_is(std::string_view text) const { return pattern_.substr(at_).starts_with(text); }

  [[noreturn]] void refuse(const std::string& what) const {
    throw InputError(concat(place_, ": the regular expression holds ", what, " at its byte ", at_ + 1,
                            ", which is not supported"));
  }

  void copy(size_t bytes) {
    out_ += pattern_.substr(at_, bytes);
    at_ += bytes;
  }

  bool ignores_case() const { return !groups_.empty() && groups_.back(); }

  // Oniguruma's folding also matches "ss" with one character, U+00DF, and the like.
  void literal() {
    const char c = peek();
    if (ignores_case()) {
      const auto lower = static_cast<char>(is_letter(c) ? c | 0x20 : c);
      if (static_cast<unsigned char>(c) >= 0x80) refuse("a letter beyond ASCII within (?i:)");
      const std::string pair = {previous_folded_, lower};
      for (const char* folded : {"ss", "st", "ff", "fi", "fl"}) {
        if (pair == folded) refuse(concat("'", pair, "' within (?i:)"));
      }
      previous_folded_ = lower;
    }
    copy(1);
  }

  void escape(bool in_class) {
    previous_folded_ = '\0';
    const char c = peek(1);
    if (c == 'p' || c == 'P') return property(in_class);
    if (c == 's' || c == 'S') return members(std::string(kWhiteSpace), c == 'S', in_class, 2);
    if (c == 'd' || c == 'D') return members(category_members("Nd"), c == 'D', in_class, 2);
    if (c == 'v') {  // the vertical tab alone; PCRE2's is any line end
      out_ += "\\x0b";
      at_ += 2;
    } else if (c == 'u' || c == 'x') {
      code_point();
    } else if (std::string_view("rntfae").find(c) != std::string_view::npos ||
               (c > ' ' && c < 0x7F && !is_letter(c) && !is_digit(c) && c != '<' && c != '>')) {
      copy(2);
    } else {
      refuse(concat("'\\", utf8_prefix(pattern_.substr(at_ + 1), 1), "'"));
    }
  }

  // \uHHHH, \xHH, \x{H...}
  void code_point() {
    const bool braces = peek(1) == 'x' && peek(2) == '{';
    const size_t begin = at_ + (braces ? 3 : 2);
    const size_t most = braces ? 6 : peek(1) == 'u' ? 4 : 2;
    size_t end = begin;
    while (end < pattern_.size() && end - begin < most && is_hexadecimal(pattern_[end])) ++end;
    const bool whole =
        braces ? end > begin && end < pattern_.size() && pattern_[end] == '}' : end - begin == most;
    if (!whole) refuse(concat("'", pattern_.substr(at_, 2), "' without its digits"));
    // Oniguruma's \x80 and above are bytes.
    if (most == 2 && pattern_[begin] >= '8') refuse("a byte of a character as \\xHH");
    out_ += concat("\\x{", pattern_.substr(begin, end - begin), "}");
    at_ = end + (braces ? 1 : 0);
  }

  void property(bool in_class) {
    const size_t end = pattern_.find('}', at_);
    if (peek(2) != '{' || end == std::string_view::npos) refuse("'\\p' without a name in braces");
    const std::string_view name = pattern_.substr(at_ + 3, end - at_ - 3);
    const size_t bytes = end + 1 - at_;
    const bool negated = peek(1) == 'P';
    if (holds(kCategories, name)) return members(category_members(name), negated, in_class, bytes);
    if (!holds(kScripts, name)) refuse(concat("'\\p{", utf8_prefix(name, 40), "}'"));
    members(script_members(name), negated, in_class, bytes);
  }

  void members(const std::string& inside, bool negated, bool in_class, size_t bytes) {
    if (in_class && negated) refuse(concat("'", pattern_.substr(at_, bytes), "' within [...]"));
    out_ += in_class ? inside : concat(negated ? "[^" : "[", inside, "]");
    at_ += bytes;
  }

  void character_class() {
    previous_folded_ = '\0';
    if (ignores_case()) refuse("[...] within (?i:)");
    if (next_is("[\\s\\S]") || next_is("[\\S\\s]")) {
      out_ += "(?s:.)";
      at_ += 6;
      return;
    }
    copy(1);
    if (peek() == '^') copy(1);
    if (peek() == ']') refuse("']' as the first of [...]");
    while (!done() && peek() != ']') {
      if (peek() == '[') refuse("'[' within [...]");
      if (next_is("&&")) refuse("'&&' within [...]");
      if (peek() == '\\') {
        escape(true);
      } else {
        copy(1);
      }
    }
    if (done()) refuse("'[' without ']'");
    copy(1);
  }

  void group() {
    previous_folded_ = '\0';
    bool folds = ignores_case();
    if (peek(1) == '?') {
      static constexpr std::array<std::string_view, 7> kKinds = {
          "(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:"};
      size_t bytes = 0;
      for (const std::string_view kind : kKinds) {
        if (next_is(kind)) bytes = kind.size();
      }
      if (bytes == 0) refuse(concat("'", utf8_prefix(pattern_.substr(at_), 3), "'"));
      folds = folds || next_is("(?i:");
      copy(bytes);
    } else {
      if (peek(1) == '*') refuse("'(*'");
      copy(1);
    }
    groups_.push_back(folds);
  }

  void close_group() {
    previous_folded_ = '\0';
    if (groups_.empty()) refuse("')' without '('");
    groups_.pop_back();
    copy(1);
  }

  // {n}+ is possessive in PCRE2 and a repetition of a repetition in Oniguruma; {n}? is optional there.
  void quantifier() {
    previous_folded_ = '\0';
    if (peek() != '{') {
      copy(1);
      if (peek() == '?' || peek() == '+') copy(1);
      if (peek() == '*' || peek() == '+' || peek() == '?') refuse("a repetition of a repetition");
      return;
    }
    size_t end = at_ + 1;
    while (end < pattern_.size() && (is_digit(pattern_[end]) || pattern_[end] == ',')) ++end;
    const bool counts = is_digit(peek(1)) && end < pattern_.size() && pattern_[end] == '}';
    if (!counts) refuse("'{' that is no repetition");
    const bool range = pattern_.substr(at_, end - at_).find(',') != std::string_view::npos;
    copy(end + 1 - at_);
    if (peek() == '+' || peek() == '*' || (peek() == '?' && !range)) refuse("a repetition of a repetition");
    if (peek() == '?') copy(1);
  }

  std::string_view pattern_;
  const std::string& place_;
  size_t at_ = 0;
  std::string out_;
  std::vector<bool> groups_;     // the open ones, and whether each ignores case
  char previous_folded_ = '\0';  // the letter before, within (?i:)
};

}  // namespace

std::string pcre2_of_oniguruma(std::string_view pattern, const std::string& place) {
  DLCM_CHECK_INPUT(first_invalid_utf8(pattern) == pattern.size(), place, ": not UTF-8");
  return Translator(pattern, place).translate();
}

}  // namespace dlcm::data
