#include "data/json_events.h"

#include <doctest/doctest.h>

#include "data/utf8.h"
#include "tests/data/temporary_folder.h"

using namespace dlcm;
using namespace dlcm::data;
using namespace dlcm::test;

namespace {

// Writes down what comes.
class Record final : public JsonHandler {
 public:
  std::string events;

  void object_begins() override { events += "{"; }
  void object_ends() override { events += "}"; }
  void array_begins() override { events += "["; }
  void array_ends() override { events += "]"; }
  void key(const std::string& name) override { events += name + ":"; }
  void text(const std::string& value) override { events += "<" + value + ">"; }
  void whole_number(uint64_t value) override { events += concat(value, " "); }
  void other(const char* kind) override { events += concat("(", kind, ")"); }
};

std::string events_of(const std::string& text) {
  Record record;
  read_json(text, "'x.json'", record);
  return record.events;
}

}  // namespace

TEST_CASE("json events: all kinds of values in their order") {
  CHECK(events_of(R"({"a": [1, "b\n", {}], "a": {"c": 18446744073709551615}}  )") ==
        "{a:[1 <b\n>{}]a:{c:18446744073709551615 }}");
  CHECK(events_of("[null, true, -1, -0, 1.0, 1e2, 18446744073709551616]") ==
        "[(null)(a boolean)(a negative number)(a negative number)(a number that is not whole or too large)"
        "(a number that is not whole or too large)(a number that is not whole or too large)]");
  CHECK(events_of(std::string(100000, '[') + std::string(100000, ']')).size() == 200000);
}

TEST_CASE("json events: what is not JSON is one line that says where") {
  const std::string texts[] = {"",
                               "{",
                               "{} {}",
                               "{'a': 1}",
                               "[1,]",
                               "[01]",
                               "[\"\xff\"]",
                               "[\"\\ud800\"]",
                               "[\"\n\"]",
                               "// note\n[]",
                               "[NaN]",
                               std::string("{}\0x", 4),
                               std::string(100000, '[')};
  for (const std::string& text : texts) {
    const std::string message = message_of<InputError>([&] { events_of(text); });
    INFO(text.substr(0, 50), ": ", message);
    CHECK(message.starts_with("'x.json' is not JSON: "));
    CHECK(message.find('\n') == std::string::npos);
    CHECK(first_invalid_utf8(message) == message.size());
    CHECK(message.size() < 300);
  }
}

TEST_CASE("json events: names for messages, text for JSON") {
  CHECK(shown_name("a.b") == "'a.b'");
  CHECK(shown_name("a\nb\x1b") == "'a b '");
  CHECK(shown_name(std::string(200, 'x')) == "'" + std::string(100, 'x') + "...'");
  CHECK(json_string("a\"\\\t\xc3\xa9") == "\"a\\\"\\\\\\t\xc3\xa9\"");
  CHECK(contains(message_of<Error>([] { json_string("ab\xff"); }), "is not UTF-8 at byte 2"));
}
