#include "apps/generation/text_stream.h"

#include <doctest/doctest.h>

#include "data/utf8.h"

using namespace dlcm::apps;

namespace {

constexpr char kReplacement[] = "\xEF\xBF\xBD";

std::string repaired(std::string_view bytes) {
  Utf8Stream stream;
  std::string text;
  for (const char byte : bytes) {
    text += stream.push(std::string_view(&byte, 1));
    CHECK(dlcm::data::first_invalid_utf8(text) == text.size());
  }
  text += stream.finish();
  CHECK(Utf8Stream().push(bytes).size() <= text.size());
  return text;
}

// Text and marks ('^') of a stream that gets each byte as a token; `begins` has a '1' for each that begins a
// concept.
std::string streamed(TextStream& stream, const std::string& bytes, const std::string& begins) {
  std::string shown;
  const auto show = [&](const TextPiece& piece) {
    size_t done = 0;
    for (const size_t mark : piece.marks) {
      shown += piece.text.substr(done, mark - done) + "^";
      done = mark;
    }
    shown += piece.text.substr(done);
  };
  for (size_t i = 0; i < bytes.size() && !stream.stopped(); ++i) {
    show(stream.push(bytes.substr(i, 1), begins[i] == '1'));
  }
  show(stream.finish());
  return shown;
}

}  // namespace

TEST_CASE("utf8 stream: well-formed text comes through, whole characters only") {
  const std::string text = "a\u00e9\u20ac\U0001F600z\u07ff\uffff\U0010FFFF";
  CHECK(repaired(text) == text);
  Utf8Stream stream;
  CHECK(stream.push("\xF0\x9F") == "");
  CHECK(stream.has_pending());
  CHECK(stream.push("\x98") == "");
  CHECK(stream.push("\x80x") == "\U0001F600x");
  CHECK_FALSE(stream.has_pending());
  CHECK(stream.finish() == "");
}

TEST_CASE("utf8 stream: malformed bytes become U+FFFD, as Unicode recommends") {
  const std::string r = kReplacement;
  CHECK(repaired("\x80") == r);
  CHECK(repaired("a\xFF"
                 "b") == "a" + r + "b");
  CHECK(repaired("\xE2\x82") == r);  // incomplete at the end
  CHECK(repaired("\xE2\x82"
                 "A") == r + "A");  // broken off
  CHECK(repaired("\xE2\xE2\x82\xAC") == r + "\u20ac");
  CHECK(repaired("\xC0\xAF") == r + r);  // overlong
  CHECK(repaired("\xE0\x9F\x80") == r + r + r);
  CHECK(repaired("\xED\xA0\x80") == r + r + r);  // surrogate
  CHECK(repaired("\xF4\x90\x80\x80") == r + r + r + r);
  CHECK(repaired("\xF0\x80") == r + r);
  CHECK(repaired("\xF1\x80\x80\xE1\x80\xC2") == r + r + r);
}

TEST_CASE("text stream: ends before the first stop string") {
  TextStream stream({"END", "\n\n"});
  CHECK(stream.push("one EN", false).text == "one ");
  CHECK(stream.push("Dless", false).text == "");
  CHECK(stream.stopped());
  CHECK(stream.finish().text == "");

  TextStream other({"END", "\n\n"});
  CHECK(other.push("a E", false).text == "a ");
  CHECK(other.push("ENx\n", false).text == "EENx");
  CHECK(other.push("y\n", false).text == "\ny");
  CHECK_FALSE(other.stopped());
  CHECK(other.finish().text == "\n");

  TextStream within({"aab"});
  CHECK(within.push("aaa", false).text == "a");
  CHECK(within.push("b", false).text == "");
  CHECK(within.stopped());

  TextStream first({"cd", "bcde", "b"});
  CHECK(first.push("abcde", false).text == "a");

  TextStream wide({"\u20ac"});
  CHECK(wide.push("5 \xE2\x82", false).text == "5 ");
  CHECK(wide.push("\xAC", false).text == "");
  CHECK(wide.stopped());
}

TEST_CASE("text stream: marks stand where concepts begin, between characters") {
  TextStream plain;
  CHECK(streamed(plain, "abcd", "1010") == "^ab^cd");
  TextStream within;  // the second byte of the character begins a concept: marked after it
  CHECK(streamed(within,
                 "a\u00e9"
                 "b",
                 "1010") == "^a\u00e9^b");
  TextStream twice;
  CHECK(streamed(twice,
                 "\u20ac"
                 "b",
                 "1111") == "^\u20ac^b");
  TextStream held({"bx"});
  CHECK(streamed(held, "abcb", "0101") == "a^bc^b");
  TextStream cut({"bx"});
  CHECK(streamed(cut, "abcbx", "01011") == "a^bc");
  TextStream broken;
  CHECK(streamed(broken,
                 "\xE2"
                 "b",
                 "01") == std::string(kReplacement) + "^b");
}
