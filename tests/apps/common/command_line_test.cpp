#include "apps/common/command_line.h"

#include <CLI/CLI.hpp>
#include <fstream>
#include <limits>

#include <doctest/doctest.h>

#include "tests/data/temporary_folder.h"

using namespace dlcm;
using namespace dlcm::apps;

namespace {

std::vector<std::string> texts_of(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "program");
  CLI::App app("description", "program");
  std::vector<std::string> unused;
  std::string other;
  const CLI::Option* texts = app.add_option("--text", unused)->allow_extra_args(false)->take_all();
  app.add_option("--other", other);
  app.add_option("PLACE", other);
  const auto end = parse_command_line(app, "", static_cast<int>(arguments.size()), arguments.data());
  CHECK_FALSE(end.has_value());
  return texts->results();
}

}  // namespace

TEST_CASE("command line: texts are taken as they are") {
  using Texts = std::vector<std::string>;
  CHECK(texts_of({"--text", "{}", "--text", "[a,b]", "--text", ""}) == Texts{"{}", "[a,b]", ""});
  CHECK(texts_of({"--text=", "--other", "x"}) == Texts{""});
  CHECK(texts_of({"--text=a=", "--text", "-", "place"}) == Texts{"a=", "-"});
  CHECK(texts_of({"--text", "--other", "--", "--text="}) == Texts{"--other"});
}

TEST_CASE("command line: what is wrong is one line") {
  for (const std::vector<const char*>& arguments :
       {std::vector<const char*>{"--bogus"}, {"--text"}, {"a", "b"}, {"--other"}}) {
    try {
      texts_of(arguments);
      FAIL("accepted");
    } catch (const InputError& error) {
      CHECK(std::string(error.what()).find('\n') == std::string::npos);
    }
  }
}

TEST_CASE("command line: numbers are decimal and whole to the last character") {
  int64_t count = 0;
  double share = 0;
  const auto read = [&](const char* name, const char* text) {
    CLI::App app("description", "program");
    add_whole_number(app, "--count", count, "");
    add_number(app, "--share", share, "");
    const std::vector<const char*> arguments = {"program", name, text};
    parse_command_line(app, "", static_cast<int>(arguments.size()), arguments.data());
  };
  read("--count", "010");
  CHECK(count == 10);
  read("--count", "-9223372036854775808");
  CHECK(count == std::numeric_limits<int64_t>::min());
  read("--share", "1e-3");
  CHECK(share == 1e-3);
  for (const char* text : {"9223372036854775808", "0x10", "0b1", "1_000", "1e3", "3.0", "10 ", "ten"}) {
    const std::string message = test::message_of<InputError>([&] { read("--count", text); });
    CAPTURE(message);
    CHECK(test::contains(message, "--count"));
    CHECK(test::contains(message, concat("'", text, "'")));
  }
  for (const char* text : {"0x1", "1e999", "nan", "inf", "0.5x", "half"}) {
    const std::string message = test::message_of<InputError>([&] { read("--share", text); });
    CAPTURE(message);
    CHECK(test::contains(message, concat("'", text, "'")));
  }
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
