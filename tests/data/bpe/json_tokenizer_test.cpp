#include "data/bpe/json_tokenizer.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include <doctest/doctest.h>

#include "data/document_source.h"
#include "data/sha256.h"
#include "tests/data/bpe/shared_tokenizers.h"
#include "tests/data/temporary_folder.h"

using namespace dlcm;
using namespace dlcm::data;
using namespace dlcm::test;

namespace dlcm::test {

const Tokenizer& shared_tokenizer(const std::string& name) {
  static std::map<std::string, std::unique_ptr<Tokenizer>> all;
  std::unique_ptr<Tokenizer>& tokenizer = all[name];
  if (!tokenizer) tokenizer = load_tokenizer(shared_data("tokenizers/" + name + "/tokenizer.json"));
  return *tokenizer;
}

}  // namespace dlcm::test

namespace {

void check_golden_vectors(const std::string& name) {
  const Tokenizer& tokenizer = shared_tokenizer(name);
  std::ifstream file(shared_data("tokenizers/" + name + "/golden.jsonl"));
  std::string line;
  int vectors = 0;
  while (std::getline(file, line)) {
    const nlohmann::json vector = nlohmann::json::parse(line);
    const std::string text = vector["text"].get<std::string>();
    INFO(name, ": ", vector["id"].get<std::string>());
    const std::vector<int32_t> ids = ids_of(tokenizer, text);
    CHECK(ids == vector["ids"].get<std::vector<int32_t>>());
    std::string decoded;
    for (const int32_t id : ids) {
      const bool ends = id == tokenizer.begin_id() || id == tokenizer.end_id();
      decoded += ends ? std::string(id == 0 ? "<｜begin▁of▁sentence｜>" : "<｜end▁of▁sentence｜>")
                      : std::string(tokenizer.decode(id));
    }
    CHECK(decoded == text);
    ++vectors;
  }
  CHECK(vectors > 100);
}

}  // namespace

TEST_CASE("json tokenizer: the golden vectors of DeepSeek-V3 and of the small tokenizer") {
  check_golden_vectors("deepseek-v3");
  check_golden_vectors("small-8k");
}

TEST_CASE("json tokenizer: sizes, names, begin and end") {
  const Tokenizer& large = shared_tokenizer("deepseek-v3");
  const Tokenizer& small = shared_tokenizer("small-8k");
  CHECK(large.vocab_size() == 128815);
  CHECK(small.vocab_size() == 8192);
  CHECK(small.identity() ==
        "tokenizer.json sha256=" + sha256(read_bytes(shared_data("tokenizers/small-8k/tokenizer.json"))));
  CHECK(large.begin_id() == 0);
  CHECK(large.end_id() == 1);
  CHECK(large.decode(0).empty());
  CHECK(large.decode(1).empty());
  CHECK(large.decode(128814) == "<｜tool▁sep｜>");
  CHECK(
      contains(message_of<InputError>([&] { large.decode(128815); }), "id 128815, allowed are 0 to 128814"));
  CHECK_THROWS_AS(large.decode(-1), InputError);
}

TEST_CASE("json tokenizer: bytes that are not UTF-8 come back") {
  const Tokenizer& tokenizer = shared_tokenizer("small-8k");
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes += static_cast<char>(byte);
  const std::string texts[] = {
      bytes, "\xC3", "a\xE4\xB8 b", "\xED\xA0\x80", "\xF4\x90\x80\x80", "中\xFF文", "\xE4\xB8\xAD\xE4\xB8"};
  for (const std::string& text : texts) CHECK(text_of(tokenizer, ids_of(tokenizer, text)) == text);
  // A malformed byte is a piece of its own; what is beside it is as if it stood alone.
  std::vector<int32_t> expected = ids_of(tokenizer, "hello ");
  for (const int32_t id : ids_of(tokenizer, "\xFF")) expected.push_back(id);
  for (const int32_t id : ids_of(tokenizer, " world")) expected.push_back(id);
  CHECK(ids_of(tokenizer, "hello \xFF world") == expected);
}

TEST_CASE("json tokenizer: several threads at once give the same ids") {
  const Tokenizer& tokenizer = shared_tokenizer("small-8k");
  std::string text;
  for (int i = 0; i < 500; ++i) text += "word" + std::to_string(i * 7919) + " 中文 the quick brown fox\n";
  const std::vector<int32_t> expected = ids_of(tokenizer, text);
  std::vector<std::vector<int32_t>> found(4);
  std::vector<std::thread> threads;
  for (auto& ids : found) {
    threads.emplace_back([&] {
      for (int i = 0; i < 3; ++i) ids = ids_of(tokenizer, text);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& ids : found) CHECK(ids == expected);
}
