#include "data/json_line.h"

#include <doctest/doctest.h>

#include "tests/data/temporary_folder.h"

using namespace dlcm;
using namespace dlcm::data;
using namespace dlcm::test;

namespace {

// With something behind the line that must not count.
std::string text_of(JsonLineReader& reader, const std::string& line) {
  const std::string padded = line + std::string(JsonLineReader::kPadding, '"');
  return std::string(
      reader.text_of(std::string_view(padded).substr(0, line.size()), [] { return std::string("place"); }));
}

std::string text_of(const std::string& line) {
  JsonLineReader reader;
  return text_of(reader, line);
}

}  // namespace

TEST_CASE("JSON lines: the text, with every escape, among other fields, of several the last") {
  JsonLineReader reader;
  CHECK(text_of(reader, R"({"text": "x"})") == "x");
  CHECK(text_of(reader, "{\"text\": \"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\"}") ==
        "\"\\/\b\f\n\r\t\xc3\xa9\xf0\x9f\x98\x80");
  CHECK(text_of(reader, R"({"id": [1, {"text": "no"}], "x": null, "text": "yes", "y": -1.5e3})") == "yes");
  CHECK(text_of(reader, R"({"text": "first", "text": "second"})") == "second");
  CHECK(text_of(reader, R"({"te\u0078t": "escaped"})") == "escaped");
  CHECK(text_of(reader, "{\"text\": \"a\\u0000b\"}") == std::string("a\0b", 3));
  CHECK(text_of(reader, " {\"text\": \"\"} \r").empty());
}

TEST_CASE("JSON lines: numbers of any size and any depth are taken, what is no JSON is not") {
  CHECK(text_of(R"({"id": 1000000000000000019884624838656, "text": "x"})") == "x");
  CHECK(text_of("{\"deep\": " + std::string(2000, '[') + std::string(2000, ']') + ", \"text\": \"x\"}") ==
        "x");
  for (const char* line : {"{\"text\": \"x\"", "{\"text\": \"x\"} {}", "{\"text\": \"\\ud800\"}",
                           "{\"text\": 'x'}", "{\"text\": \"\t\"}", "{\"text\": \"x\", \"n\": 01}"}) {
    CAPTURE(line);
    CHECK(contains(message_of<InputError>([&] { text_of(line); }), "place: not JSON"));
  }
  CHECK(contains(message_of<InputError>([] { text_of(R"({"text": "x", "text": 1})"); }), "is number"));
}

TEST_CASE("JSON lines: what is an object") {
  CHECK(is_json_object(" {\"a\": 1}"));
  CHECK_FALSE(is_json_object("{"));
  CHECK_FALSE(is_json_object("[1]"));
  CHECK_FALSE(is_json_object(""));
}
