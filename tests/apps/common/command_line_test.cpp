#include "apps/common/command_line.h"

#include <fstream>
#include <limits>

#include <doctest/doctest.h>

#include "tests/data/temporary_folder.h"

using namespace dlcm;
using namespace dlcm::apps;

namespace {

std::optional<int> read(CommandLineParser& parser, std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "program");
  return parser.read(static_cast<int>(arguments.size()), arguments.data());
}

// What a command line of every kind of argument gives.
struct Read {
  std::vector<std::string> texts;
  std::string other, place, input, output;
  bool flag = false;
  int64_t count = 7;
  std::optional<double> share;

  explicit Read(const std::vector<const char*>& arguments) {
    CommandLineParser parser("program", "description", "examples");
    parser.add_texts("--text", texts, "TEXT", "");
    parser.add_text("--other", other, "TEXT", "");
    parser.add_input("--input", input, "FILE", "");
    parser.add_output("--output", output, "FILE", "");
    parser.add_flag("--flag", flag, "");
    parser.add_whole_number("--count", count, {1, 10}, "");
    parser.add_number("--share", share, {0, 1, NumberRange::Excluded::most}, "");
    parser.add_text("PLACE", place, "TEXT", "");
    const std::optional<int> end = read(parser, arguments);
    CHECK_FALSE(end.has_value());
  }
};

std::vector<std::string> texts_of(const std::vector<const char*>& arguments) {
  return Read(arguments).texts;
}

std::string refusal(const std::vector<const char*>& arguments) {
  const std::string message = test::message_of<InputError>([&] { const Read unused(arguments); });
  CHECK_FALSE(test::contains(message, "\n"));
  return message;
}

}  // namespace

TEST_CASE("command line: texts are taken as they are") {
  using Texts = std::vector<std::string>;
  CHECK(texts_of({"--text", "{}", "--text", "[a,b]", "--text", ""}) == Texts{"{}", "[a,b]", ""});
  CHECK(texts_of({"--text=", "--other", "x"}) == Texts{""});
  CHECK(texts_of({"--text=a=", "--text", "-", "place"}) == Texts{"a=", "-"});
  CHECK(texts_of({"--text", "--other", "--", "--text="}) == Texts{"--other"});
  CHECK(Read({"--text", "a", "b"}).place == "b");
  CHECK(Read({"--flag", "--flag", "b"}).flag);
}

TEST_CASE("command line: what is wrong is one line that says what") {
  CHECK(refusal({"--bogus"}) == "unknown option --bogus; --help shows examples");
  CHECK(refusal({"--Share", "1"}) == "unknown option --Share (did you mean --share?); --help shows examples");
  CHECK(refusal({"--text"}) == "--text: expected a value after it; --help shows examples");
  CHECK(test::contains(refusal({"a", "b"}), "'b': one argument too many"));
  CHECK(refusal({"--other", "a", "--other", "b"}) == "--other: given 2 times; give it once");
  CHECK(refusal({"--flag=3"}) == "--flag: takes no value; --help shows examples");
  CHECK(refusal({"--input", ""}) == "--input '': expected the name of a file or folder");
  CHECK(refusal({"--input", "-"}) == "no exception");
  CHECK(test::contains(refusal({"--output="}), "--output ''"));
  CHECK(test::contains(refusal({"--output", "-"}), "--output '-': expected the name"));
}

TEST_CASE("command line: a required argument, and what hides behind its absence") {
  std::string place;
  CommandLineParser parser("program", "description", "examples");
  parser.add_input("--input", place, "FILE", "", Presence::required);
  CHECK(test::contains(test::message_of<InputError>([&] { read(parser, {}); }), "--input is required"));
  CHECK(test::contains(test::message_of<InputError>([&] {
                         read(parser, {"--imput", "a"});
                       }),
                       "unknown option --imput (did you mean --input?)"));
}

TEST_CASE("command line: standard input is read once") {
  CHECK_NOTHROW(require_one_standard_input({{"--a", "-"}, {"--b", "x"}}));
  CHECK_THROWS_WITH_AS(require_one_standard_input({{"--a", "-"}, {"--b", "x"}, {"--c", "-"}}),
                       doctest::Contains("--a and --c cannot both be standard input"), InputError);
}

TEST_CASE("command line: numbers are decimal, whole to the last character, and in their range") {
  CHECK(Read({}).count == 7);
  CHECK_FALSE(Read({}).share.has_value());
  CHECK(Read({"--count", "010"}).count == 10);
  CHECK(Read({"--share", "1e-3"}).share == 1e-3);
  for (const char* text : {"9223372036854775808", "0x10", "0b1", "1_000", "1e3", "3.0", "10 ", "ten", "", "0",
                           "11", "-1", "nan"}) {
    CHECK(refusal({"--count", text}) == concat("--count '", text, "': expected a whole number from 1 to 10"));
  }
  for (const char* text : {"0x1", "1e999", "nan", "inf", "0.5x", "half", "1", "-0.1", ""}) {
    CHECK(refusal({"--share", text}) ==
          concat("--share '", text, "': expected a number of at least 0, below 1"));
  }
}

TEST_CASE("command line: numbers of any size") {
  int64_t count = 0;
  double number = 0;
  const auto given = [&](const char* name, const char* text) {
    CommandLineParser parser("program", "description", "examples");
    parser.add_whole_number("--count", count, {}, "");
    parser.add_number("--number", number, {}, "");
    return test::message_of<InputError>([&] { read(parser, {name, text}); });
  };
  CHECK(given("--count", "-9223372036854775808") == "no exception");
  CHECK(count == std::numeric_limits<int64_t>::min());
  CHECK(test::contains(given("--count", "9223372036854775808"), "too large"));
  CHECK(test::contains(given("--count", "1e3"), "expected a whole number in decimal digits"));
  CHECK(test::contains(given("--number", "inf"), "expected a finite number"));
}

TEST_CASE("command line: files of text") {
  const test::TemporaryFolder folder;
  std::ofstream(folder / "a", std::ios::binary) << "line\nlast";
  CHECK(read_file_or_input(folder / "a") == "line\nlast");
  CHECK_THROWS_AS(read_file_or_input(folder.path()), InputError);
  CHECK_THROWS_AS(read_file_or_input(folder / "missing"), InputError);
  CHECK_NOTHROW(require_utf8("\u20ac", "x"));
  CHECK_THROWS_WITH_AS(require_utf8("ab\xFF", "the prompt"), doctest::Contains("the prompt: not UTF-8"),
                       InputError);
}
