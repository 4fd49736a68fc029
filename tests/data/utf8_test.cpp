#include "data/utf8.h"

#include <string>
#include <utility>

#include <doctest/doctest.h>

using namespace dlcm::data;

TEST_CASE("utf8: the first byte that is not text") {
  const std::pair<std::string, size_t> cases[] = {
      {"", 0},
      {"plain ascii, longer than eight bytes", 36},
      {"\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80", 9},
      {"abcdefgh\xff", 8},
      {"a\xc3", 1},               // ends within a character
      {"\xc0\x80", 0},            // overlong
      {"\xe0\x80\x80", 0},        // overlong
      {"\xed\xa0\x80", 0},        // surrogate
      {"\xf4\x90\x80\x80", 0},    // above U+10FFFF
      {"ok\xf0\x8f\xbf\xbf", 2},  // overlong
      {"\x80", 0},
  };
  for (const auto& [text, expected] : cases) CHECK(first_invalid_utf8(text) == expected);
  CHECK(utf8_prefix("a\xc3\xa9", 2) == "a");
  CHECK(utf8_prefix("a\xc3\xa9", 3) == "a\xc3\xa9");
}
