#include "data/bpe/unicode_classes.h"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "data/bpe/regex.h"
#include "data/utf8.h"

using namespace dlcm::data;

TEST_CASE("classes of characters are those of the regular expressions that the scanners stand for") {
  const std::pair<CharacterClass, const char*> patterns[] = {
      {kLetter, "\\p{L}+"},
      {kMark, "\\p{M}+"},
      {kNumber, "\\p{N}+"},
      {kPunctuation, "\\p{P}+"},
      {kSymbol, "\\p{S}+"},
      {kSpace, "\\s+"},
      {kIdeograph, "[一-龥\\u3040-\\u309f\\u30a0-\\u30ff]+"},
      {kLineEnd, "[\\r\\n]+"}};
  std::string text;
  for (uint32_t code = 0; code < kCodePoints; ++code) {
    if (code < 0xD800 || code >= 0xE000) append_utf8(code, text);
  }
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  std::vector<uint8_t> expected(kCodePoints, 0);
  std::vector<Span> matches;
  for (const auto& [flag, pattern] : patterns) {
    Regex(pattern, "test").find_all(text, matches);
    for (const Span& match : matches) {
      for (size_t at = match.begin; at < match.end;) {
        const Character character = character_at(bytes + at);
        expected[character.code_point] |= flag;
        at += character.bytes;
      }
    }
  }
  uint32_t differ = 0;
  for (uint32_t code = 0; code < kCodePoints; ++code) {
    if (unicode_classes()[code] == expected[code]) continue;
    if (++differ < 10)
      MESSAGE("U+" << std::hex << code << ": " << +unicode_classes()[code] << ", expected "
                   << +expected[code]);
  }
  CHECK(differ == 0);
}
