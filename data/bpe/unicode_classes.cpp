#include "data/bpe/unicode_classes.h"

#include <string>
#include <utility>
#include <vector>

#include "data/bpe/regex.h"
#include "data/utf8.h"

namespace dlcm::data {
namespace {

std::string all_characters() {
  std::string text;
  for (uint32_t code = 0; code < kCodePoints; ++code) {
    if (code >= 0xD800 && code < 0xE000) continue;
    append_utf8(code, text);
  }
  return text;
}

std::vector<uint8_t> find_classes() {
  const std::pair<CharacterClass, const char*> patterns[] = {
      {kLetter, "\\p{L}+"},
      {kMark, "\\p{M}+"},
      {kNumber, "\\p{N}+"},
      {kPunctuation, "\\p{P}+"},
      {kSymbol, "\\p{S}+"},
      {kSpace, "\\s+"},
      {kIdeograph, "[一-龥\\u3040-\\u309f\\u30a0-\\u30ff]+"},
      {kLineEnd, "[\\r\\n]+"}};
  std::vector<uint8_t> classes(kCodePoints, 0);
  const std::string text = all_characters();
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  std::vector<Span> matches;
  for (const auto& [flag, pattern] : patterns) {
    Regex(pattern, "classes of characters").find_all(text, matches);
    for (const Span& match : matches) {
      for (size_t at = match.begin; at < match.end;) {
        const Character character = character_at(bytes + at);
        classes[character.code_point] |= flag;
        at += character.bytes;
      }
    }
  }
  return classes;
}

}  // namespace

const uint8_t* unicode_classes() {
  static const std::vector<uint8_t> classes = find_classes();
  return classes.data();
}

}  // namespace dlcm::data
