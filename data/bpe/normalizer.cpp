#include "data/bpe/normalizer.h"

#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>

#include <utf8proc.h>

#include "data/bpe/json_value.h"
#include "data/bpe/regex.h"
#include "data/bpe/unicode_classes.h"
#include "data/bpe/unicode_versions.h"
#include "data/utf8.h"
#include "tensor/check.h"

namespace dlcm::data {
namespace {

enum class Form : uint8_t { nfc, nfd, nfkc, nfkd };

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

template <class Each>
void for_each_character(std::string_view text, const Each& each) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  for (size_t at = 0; at < text.size();) {
    const Character character = character_at(bytes + at);
    each(character.code_point);
    at += character.bytes;
  }
}

std::vector<utf8proc_int32_t> decompose(std::string_view text, bool compatible) {
  const int options = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | (compatible ? UTF8PROC_COMPAT : 0);
  std::vector<utf8proc_int32_t> codes;
  utf8proc_int32_t parts[32];
  constexpr utf8proc_ssize_t kParts = 32;  // the longest decomposition has 18
  for_each_character(text, [&](uint32_t code) {
    int boundary = 0;
    const utf8proc_ssize_t count =
        utf8proc_decompose_char(static_cast<utf8proc_int32_t>(code), parts, kParts,
                                static_cast<utf8proc_option_t>(options), &boundary);
    DLCM_CHECK(count >= 0 && count <= kParts, "normalizer: U+", code, " cannot be decomposed");
    codes.insert(codes.end(), parts, parts + count);
  });
  return codes;
}

// Runs of combining characters into the order of their classes. utf8proc's own takes the square of a run's
// length.
void order_marks(std::vector<utf8proc_int32_t>& codes) {
  const auto combining = [](utf8proc_int32_t code) { return utf8proc_get_property(code)->combining_class; };
  for (auto begin = codes.begin(); begin != codes.end();) {
    const auto end = std::find_if(begin, codes.end(), [&](utf8proc_int32_t c) { return combining(c) == 0; });
    if (end - begin > 1) {
      std::stable_sort(begin, end,
                       [&](utf8proc_int32_t a, utf8proc_int32_t b) { return combining(a) < combining(b); });
    }
    begin = end == codes.end() ? end : end + 1;
  }
}

template <class Ranges>
auto find_range(const Ranges& ranges, uint32_t code) {
  const auto found =
      std::partition_point(ranges.begin(), ranges.end(), [&](const auto& r) { return r.last < code; });
  return found != ranges.end() && found->first <= code ? found : ranges.end();
}

// Appends the form of the text.
void append_form(std::string_view text, Form form, std::string& out) {
  std::vector<utf8proc_int32_t> codes = decompose(text, form == Form::nfkc || form == Form::nfkd);
  order_marks(codes);
  if (form == Form::nfc || form == Form::nfkc) {
    const auto options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    const utf8proc_ssize_t count =
        utf8proc_normalize_utf32(codes.data(), static_cast<utf8proc_ssize_t>(codes.size()), options);
    DLCM_CHECK(count >= 0, "normalizer: ", utf8proc_errmsg(count));
    codes.resize(static_cast<size_t>(count));
  }
  for (const utf8proc_int32_t code : codes) append_utf8(static_cast<uint32_t>(code), out);
}

// Nothing is ordered or composed across a character without a normal form.
void to_form(std::string& text, Form form) {
  if (is_ascii(text)) return;
  std::string result;
  std::string part;
  for_each_character(text, [&](uint32_t code) {
    if (find_range(kWithoutNormalForm, code) == kWithoutNormalForm.end()) return append_utf8(code, part);
    append_form(part, form, result);
    part.clear();
    append_utf8(code, result);
  });
  append_form(part, form, result);
  text = std::move(result);
}

uint32_t lowercase_of(uint32_t code) {
  const auto newer = find_range(kNewerLowercase, code);
  if (newer != kNewerLowercase.end()) return code + static_cast<uint32_t>(newer->difference);
  return static_cast<uint32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code)));
}

// Character by character, without regard to its place in a word.
void lowercase(std::string& text) {
  constexpr uint32_t kDottedI = 0x130;  // the one whose lower case is two characters
  std::string lower;
  lower.reserve(text.size());
  for_each_character(text, [&](uint32_t code) {
    if (code == kDottedI) {
      lower += "i\u0307";
    } else {
      append_utf8(lowercase_of(code), lower);
    }
  });
  text = std::move(lower);
}

void strip(std::string& text, bool left, bool right) {
  size_t begin = text.size();  // of the first and behind the last character that is not white space
  size_t end = 0;
  size_t at = 0;
  const uint8_t* classes = unicode_classes();
  for_each_character(text, [&](uint32_t code) {
    std::string character;
    append_utf8(code, character);
    if ((classes[code] & kSpace) == 0) {
      begin = std::min(begin, at);
      end = at + character.size();
    }
    at += character.size();
  });
  const bool all_space = begin == text.size();
  if (!left) begin = 0;
  if (!right) end = text.size();
  if (all_space && (left || right)) end = begin;
  text = text.substr(begin, end - begin);
}

void replace(std::string& text, const Regex& expression, const std::string& content) {
  std::vector<Span> matches;
  expression.find_all(text, matches);
  if (matches.empty()) return;
  std::string result;
  size_t end = 0;
  for (const Span& match : matches) {
    result.append(text, end, match.begin - end);
    result += content;
    end = match.end;
  }
  result.append(text, end);
  text = std::move(result);
}

}  // namespace

Normalizer::Normalizer(const JsonValue& field) {
  add(field, 0);
}

void Normalizer::add(const JsonValue& field, int depth) {
  constexpr int kMaxDepth = 10;
  const std::string_view type = field.type();
  const std::pair<const char*, Form> forms[] = {
      {"NFC", Form::nfc}, {"NFD", Form::nfd}, {"NFKC", Form::nfkc}, {"NFKD", Form::nfkd}};
  for (const auto& [name, form] : forms) {
    if (type == name) return steps_.push_back([form = form](std::string& text) { to_form(text, form); });
  }
  if (type == "Sequence") {
    if (depth == kMaxDepth) field.refuse(concat("more than ", kMaxDepth, " Sequences in each other"));
    for (const JsonValue& step : field["normalizers"].elements()) add(step, depth + 1);
  } else if (type == "Lowercase") {
    steps_.emplace_back(lowercase);
  } else if (type == "Strip") {
    can_be_cut_ = false;
    const bool left = field["strip_left"].boolean();
    const bool right = field["strip_right"].boolean();
    steps_.emplace_back([left, right](std::string& text) { strip(text, left, right); });
  } else if (type == "Prepend") {
    can_be_cut_ = false;
    steps_.emplace_back([prefix = std::string(field["prepend"].string())](std::string& text) {
      if (!text.empty()) text.insert(0, prefix);
    });
  } else if (type == "Replace") {
    can_be_cut_ = false;
    const JsonValue pattern = field["pattern"];
    const bool is_regex = pattern.has("Regex");
    const JsonValue text = pattern[is_regex ? "Regex" : "String"];
    auto expression = std::make_shared<Regex>(
        is_regex ? std::string(text.string()) : escape_regex(text.string()), text.place());
    if (expression->may_match_nothing())
      text.refuse("an expression that matches the empty text is not supported");
    steps_.emplace_back([expression, content = std::string(field["content"].string())](std::string& changed) {
      replace(changed, *expression, content);
    });
  } else {
    field.refuse_name(type,
                      {"NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Strip", "Prepend", "Replace", "Sequence"});
  }
}

void Normalizer::normalize(std::string& text) const {
  for (const Step& step : steps_) step(text);
}

}  // namespace dlcm::data
