#include "data/document_source.h"

#include <cstdlib>

#include <doctest/doctest.h>

#include "tests/data/temporary_folder.h"

using namespace dlcm;
using namespace dlcm::data;
using namespace dlcm::test;

namespace {

std::vector<std::string> all_documents(const std::vector<std::string>& inputs,
                                       InputFormat format = InputFormat::by_name) {
  DocumentSource source(inputs, format);
  std::vector<std::string> documents;
  std::string text;
  while (source.next(text)) documents.push_back(text);
  return documents;
}

std::string message(const std::string& path) {
  return message_of<InputError>([&] { all_documents({path}); });
}

// A compressed copy of the text, made by the system's program; empty where there is none.
std::string compressed(const TemporaryFolder& folder, const std::string& text, const std::string& command) {
  write_bytes(folder / "plain", text);
  const std::string line =
      command + " -c '" + (folder / "plain") + "' > '" + (folder / "packed") + "' 2> /dev/null";
  if (std::system(line.c_str()) != 0) return {};
  return read_bytes(folder / "packed");
}

using Documents = std::vector<std::string>;

}  // namespace

TEST_CASE("document source: text, JSON Lines, and what counts as which") {
  const TemporaryFolder folder;
  write_bytes(folder / "a.txt", "one\n{\"text\": \"two\"}\n");
  CHECK(all_documents({folder / "a.txt"}) == Documents{"one\n{\"text\": \"two\"}\n"});
  const std::string lines =
      "\xEF\xBB\xBF{\"text\": \"one\", \"id\": 1}\r\n\n{\"text\": \"\"}\n{\"text\": \"\\u00e9 \\n\"}";
  for (const char* name : {"a.jsonl", "a.ndjson"}) {
    write_bytes(folder / name, lines);
    CHECK(all_documents({folder / name}) == Documents{"one", "\xc3\xa9 \n"});
  }
  write_bytes(folder / "a.json", "{\"text\": \"x\"}\n{\"text\": \"y\"}\n");
  CHECK(all_documents({folder / "a.json"}) == Documents{"x", "y"});
  write_bytes(folder / "b.json", "{\n  \"text\": 1\n}\n");  // not lines of objects: a text
  CHECK(all_documents({folder / "b.json"}) == Documents{"{\n  \"text\": 1\n}\n"});
  write_bytes(folder / "lines", "{\"text\": \"x\"}\n");
  CHECK(all_documents({folder / "lines"}, InputFormat::json_lines) == Documents{"x"});
}

TEST_CASE("document source: empty documents and files are skipped and counted") {
  const TemporaryFolder folder;
  write_bytes(folder / "a.txt", "");
  write_bytes(folder / "b.jsonl", "{\"text\": \"\"}\n{\"text\": \"x\"}\n");
  write_bytes(folder / "c.jsonl", "");
  DocumentSource source({folder / "a.txt", folder / "b.jsonl", folder / "c.jsonl"});
  std::string text;
  CHECK(source.next(text));
  CHECK(text == "x");
  CHECK(!source.next(text));
  CHECK(source.empty_documents() == 2);
  CHECK(source.files() == 3);
}

TEST_CASE("document source: gzip and zstd by their first bytes, several members, truncated") {
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 100000; ++i) text += concat("line ", i * 7919 % 100003, "\n");
  for (const std::string command : {"gzip", "zstd -q"}) {
    const std::string packed = compressed(folder, text, command);
    if (packed.empty()) {
      MESSAGE("skipped: there is no " << command);
      continue;
    }
    CHECK(packed.size() < text.size());
    write_bytes(folder / "any-name", packed + packed);
    CHECK(all_documents({folder / "any-name"}) == Documents{text + text});
    for (const size_t length : {size_t{5}, packed.size() / 2, packed.size() - 1}) {
      write_bytes(folder / "cut", packed.substr(0, length));
      CHECK(contains(message(folder / "cut"), "truncated"));
      CHECK(contains(message(folder / "cut"), folder / "cut"));
    }
    std::string damaged = packed;
    damaged[damaged.size() / 2] = static_cast<char>(damaged[damaged.size() / 2] ^ 0x10);
    damaged[damaged.size() / 3] = static_cast<char>(damaged[damaged.size() / 3] ^ 0x10);
    write_bytes(folder / "damaged", damaged);
    CHECK(contains(message(folder / "damaged"), folder / "damaged"));
  }
  write_bytes(folder / "x.gz", "plain");
  CHECK(contains(message(folder / "x.gz"), "does not hold gzip"));
  write_bytes(folder / "x.zst", "");
  CHECK(contains(message(folder / "x.zst"), "does not hold zstd"));
}

TEST_CASE("document source: folders in order, hidden files left out") {
  const TemporaryFolder folder;
  for (const char* name : {"b", "a/c", "a", ".git"}) std::filesystem::create_directories(folder / name);
  write_bytes(folder / "b/1.txt", "4");
  write_bytes(folder / "a/z.txt", "3");
  write_bytes(folder / "a/c/1.jsonl", "{\"text\": \"1\"}\n{\"text\": \"2\"}\n");
  write_bytes(folder / "a/.hidden", "no");
  write_bytes(folder / ".git/x", "no");
  CHECK(all_documents({folder.path()}) == Documents{"1", "2", "3", "4"});
  std::filesystem::create_directories(folder / "empty");
  CHECK(contains(message(folder / "empty"), "holds no files"));
  CHECK(contains(message(folder / "missing"), "there is no file or folder"));
}

TEST_CASE("document source: wrong content names file and place in one line") {
  const TemporaryFolder folder;
  const std::string path = folder / "x.jsonl";
  const auto with_line = [&](const std::string& line) {
    write_bytes(path, "{\"text\": \"fine\"}\n" + line + "\n");
    const std::string found = message(path);
    CHECK(contains(found, path + "' line 2"));
    CHECK(!contains(found, "\n"));
    return found;
  };
  CHECK(contains(with_line("{\"text\": \"x\""), "' line 2: not JSON: column "));
  CHECK(contains(with_line("not"), "not JSON"));
  CHECK(contains(with_line("{\"text\": \"\\ud800\"}"), "not JSON"));
  CHECK(contains(with_line("[1]"), "expected an object with a field 'text', found array"));
  CHECK(contains(with_line("{\"body\": \"x\"}"), "no field 'text'; its fields: 'body'"));
  CHECK(contains(with_line("{\"a\\nb\": 1, \"c\": 2, \"d\": 3, \"e\": 4, \"f\": 5, \"g\": 6}"),
                 "fields: 'a b', 'c', 'd', 'e', 'f', ..."));
  CHECK(contains(with_line("{}"), "fields: none"));
  CHECK(contains(with_line("{\"text\": 5}"), "'text' is number, expected a string"));
  CHECK(contains(with_line("{\"text\": \"\xff\"}"), "invalid UTF-8 at byte 10 of the line"));
  CHECK(contains(with_line(std::string(100000, '[')), "not JSON"));
  write_bytes(folder / "x.txt", "caf\xe9");
  CHECK(contains(message(folder / "x.txt"), "x.txt': invalid UTF-8 at byte 3: inputs are text in UTF-8"));
}

TEST_CASE("document source: a text in parts, cut where it is told, and lines in whole blocks") {
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 200000; ++i) text += concat("word", i * 7919 % 100003, "\n");
  write_bytes(folder / "a.txt", text);
  write_bytes(folder / "b.jsonl",
              concat("{\"text\": \"", std::string(700000, 'x'), "\"}\n{\"text\": \"y\"}"));
  write_bytes(folder / "c.txt", "");
  const TextCut before_last_line = [](std::string_view part, size_t from) {
    const size_t end = part.rfind('\n', part.size() - 2);
    return end != std::string_view::npos && end > from ? end + 1 : 0;
  };
  DocumentSource source({folder / "a.txt", folder / "b.jsonl", folder / "c.txt"}, InputFormat::by_name,
                        before_last_line);
  InputBlock block;
  BlockReader reader;
  std::string joined;
  int parts = 0;
  while (source.next_block(block) && !block.json) {
    CHECK(block.begins == (parts++ == 0));
    CHECK(block.ends == (joined.size() + block.size == text.size()));
    CHECK(block.first == static_cast<int64_t>(joined.size()));
    CHECK(block.bytes().ends_with('\n'));
    CHECK(reader.read(block, [&](std::string_view part) { joined += part; }) == 0);
  }
  CHECK((joined == text));
  CHECK(parts > 4);
  Documents lines;
  do {
    CHECK(reader.read(block, [&](std::string_view document) { lines.emplace_back(document); }) == 0);
  } while (source.next_block(block) && block.json);
  CHECK((lines == Documents{std::string(700000, 'x'), "y"}));
  CHECK(reader.read(block, [](std::string_view) {}) == 1);  // the empty file
  CHECK_FALSE(source.next_block(block));
}

TEST_CASE("document source: what is wrong in a later block or part has its place in the file") {
  const TemporaryFolder folder;
  std::string lines;
  for (int i = 0; i < 40000; ++i) lines += "{\"text\": \"some words\"}\n";
  write_bytes(folder / "x.jsonl", lines + "{\"text\": 1}\n");
  CHECK(contains(message(folder / "x.jsonl"), "' line 40001: the field 'text'"));
  write_bytes(folder / "x.txt", std::string(1000000, ' ') + "caf\xe9");
  const std::string found = message_of<InputError>([&] {
    DocumentSource source({folder / "x.txt"}, InputFormat::by_name,
                          [](std::string_view part, size_t) { return part.size() - 1; });
    InputBlock block;
    while (source.next_block(block)) BlockReader().read(block, [](std::string_view) {});
  });
  CHECK(contains(found, "invalid UTF-8 at byte 1000003"));
}
