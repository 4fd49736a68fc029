#include "data/bpe/json_value.h"

#include <filesystem>

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "tests/data/temporary_folder.h"

using namespace dlcm;
using namespace dlcm::data;
using namespace dlcm::test;

namespace {

std::string refusal(const std::string& bytes) {
  return message_of<InputError>([&] { JsonDocument("x.json", bytes).root().object(); });
}

std::string nested(size_t levels) {
  return std::string(levels, '[') + std::string(levels, ']');
}

std::string repeated(const std::string& text, size_t times) {
  std::string all;
  for (size_t i = 0; i < times; ++i) all += (i == 0 ? "" : ",") + text;
  return all;
}

}  // namespace

TEST_CASE("JSON value: deep nesting is refused, however deep and whatever stands before it") {
  const std::string expected = "'x.json': values are nested in more than 1024 levels";
  for (const size_t levels : {size_t{2000}, size_t{4'000'000}}) {
    CHECK(refusal(R"({"a":)" + nested(levels) + "}").starts_with(expected));
    // What is wrong with the number is found by another library.
    CHECK(
        refusal(R"({"n":123456789012345678901234567890,"a":)" + nested(levels) + "}").starts_with(expected));
  }
  CHECK(refusal(R"({"a":)" + nested(1000) + "}") == "no exception");
}

TEST_CASE("JSON value: whole numbers of more than 64 bits are read as others") {
  const JsonDocument document("x.json", R"({"length":1000000000000000019884624838656,"a":[1,{"b":"c"}]})");
  CHECK(document.root()["length"].number() == 1e30);
  CHECK(document.root()["a"].element(1)["b"].string() == "c");
}

TEST_CASE("JSON value: nothing follows a zero unseen") {
  using namespace std::string_literals;
  CHECK(contains(refusal("{\"a\":1}\0 and more"s), "'x.json': not JSON: byte 7 is zero"));
}

TEST_CASE("JSON value: long keys are short in messages") {
  const std::string key(100'000, 'k');
  const JsonDocument document("x.json", "{\"" + key + "\":1}");
  const auto refused = [](const std::function<void()>& body) { return message_of<InputError>(body); };
  CHECK(refused([&] { document.root()[key].string(); }) ==
        "'x.json': " + key.substr(0, 60) + "...: expected a string, found number");
  CHECK(refused([&] { document.root()[key + "k"]; }) ==
        "'x.json': the field '" + key.substr(0, 60) + "...' is missing");
}

// In time that grows with the square of the count this would take minutes.
TEST_CASE("JSON value: a loop over a long array, each element knows its place") {
  constexpr size_t kCount = 200'000;
  const JsonDocument document("x.json", R"({"a":[)" + repeated("7", kCount) + "]}");
  const JsonValue list = document.root()["a"];
  CHECK(list.size() == kCount);
  int64_t sum = 0;
  std::string last;
  for (const JsonValue& value : document.root()["a"].elements()) {
    sum += value.integer(0, 10);
    last = value.place();
  }
  CHECK(sum == 7 * static_cast<int64_t>(kCount));
  CHECK(last == "'x.json': a[199999]");
  const JsonDocument empty("x.json", "[]");
  for (const JsonValue& value : empty.root().elements()) value.refuse("there is one");
}

TEST_CASE("read_file takes regular files alone, and never waits for a writer") {
  const TemporaryFolder folder;
  const auto refused = [](const std::string& path) {
    return message_of<InputError>([&] { read_file(path, 10); });
  };
  REQUIRE(mkfifo((folder / "fifo").c_str(), 0600) == 0);
  std::filesystem::create_directory(folder / "folder");
  for (const char* name : {"fifo", "folder"})
    CHECK(refused(folder / name) == concat("cannot read '", folder / name, "': it is not a file"));
  CHECK(contains(refused(folder / "none"), "/none': No such file or directory"));
  write_bytes(folder / "file", "");
  CHECK(contains(refused(folder / "file"), "/file' is empty"));
  write_bytes(folder / "file", "0123456789a");
  CHECK(contains(refused(folder / "file"), "/file': 11 bytes, expected at most 10"));
  write_bytes(folder / "file", "0123456789");
  CHECK(read_file(folder / "file", 10) == "0123456789");
}
