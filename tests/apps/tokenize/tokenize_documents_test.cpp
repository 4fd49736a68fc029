#include "apps/tokenize/tokenize_documents.h"

#include <map>

#include <doctest/doctest.h>

#include "apps/inspect/describe.h"
#include "apps/tokenize/shard_set.h"
#include "data/shard.h"
#include "tensor/parallel.h"
#include "tests/data/temporary_folder.h"

using namespace dlcm;
using namespace dlcm::apps;
using namespace dlcm::test;

namespace fs = std::filesystem;

namespace {

TokenizeCounts run(const TokenizeOptions& options) {
  return tokenize_documents(options, data::ByteTokenizer(), [](const TokenizeCounts&) {});
}

std::string message(const TokenizeOptions& options) {
  return message_of<InputError>([&] { run(options); });
}

// Texts of all shards of a kind, in order.
std::vector<std::string> texts(const std::string& folder, const std::string& kind) {
  const data::ByteTokenizer tokenizer;
  std::vector<std::string> all;
  for (const std::string& path : data::shard_paths(folder, kind)) {
    const data::ShardReader shard(path);
    for (int64_t i = 0; i < shard.documents(); ++i) {
      const std::vector<int32_t> tokens = shard.read(i, 0, shard.document_tokens(i));
      CHECK(tokens.front() == 256);
      CHECK(tokens.back() == 256);
      std::string text;
      for (const int32_t id : tokens) text += tokenizer.decode(id);
      CHECK(static_cast<int64_t>(text.size()) == shard.document_bytes(i));
      all.push_back(text);
    }
  }
  return all;
}

std::string json_lines(int documents) {
  std::string lines;
  for (int i = 0; i < documents; ++i) lines += concat("{\"text\": \"document ", i * 7, "\"}\n");
  return lines;
}

}  // namespace

TEST_CASE("tokenize: documents are stored in order between begin and end, shards are split") {
  const TemporaryFolder folder;
  write_bytes(folder / "a.jsonl", json_lines(50));
  TokenizeOptions options;
  options.output = folder / "out";
  options.domains = {{"", {folder / "a.jsonl"}}};
  options.shard_tokens = 100;
  const TokenizeCounts counts = run(options);
  CHECK(counts.documents == 50);
  CHECK(counts.tokens == counts.bytes + 100);
  const std::vector<std::string> stored = texts(options.output, "train");
  REQUIRE(stored.size() == 50);
  for (int i = 0; i < 50; ++i) CHECK(stored[static_cast<size_t>(i)] == concat("document ", i * 7));
  const std::vector<std::string> paths = data::shard_paths(options.output, "train");
  CHECK(paths.size() == 8);  // seven documents of 12 to 14 tokens each
  CHECK(paths[7] == folder / "out/train-00007.h5");
  for (const std::string& path : paths) CHECK(data::ShardReader(path).tokens() <= 100);
  CHECK(data::shard_paths(options.output, "heldout").empty());
}

TEST_CASE("tokenize: the held-out share is the same in every order") {
  const TemporaryFolder folder;
  write_bytes(folder / "a.jsonl", json_lines(1000));
  TokenizeOptions options;
  options.output = folder / "out";
  options.domains = {{"", {folder / "a.jsonl"}}};
  options.heldout_share = 0.1;
  const TokenizeCounts counts = run(options);
  CHECK(counts.documents == 1000);
  CHECK(counts.heldout_documents > 70);
  CHECK(counts.heldout_documents < 130);
  for (const std::string& text : texts(options.output, "heldout")) CHECK(is_heldout(text, 0.1));
  for (const std::string& text : texts(options.output, "train")) CHECK(!is_heldout(text, 0.1));
  CHECK(texts(options.output, "train").size() + texts(options.output, "heldout").size() == 1000);
}

TEST_CASE("tokenize: domains lie in folders of their own") {
  const TemporaryFolder folder;
  write_bytes(folder / "a.txt", "x");
  write_bytes(folder / "b.txt", "yz");
  TokenizeOptions options;
  options.output = folder / "out";
  options.domains = {{"code", {folder / "a.txt", folder / "b.txt"}}, {"math", {folder / "b.txt"}}};
  run(options);
  CHECK(texts(folder / "out/code", "train") == std::vector<std::string>{"x", "yz"});
  CHECK(texts(folder / "out/math", "train") == std::vector<std::string>{"yz"});
  CHECK(data::shard_domains(options.output, "train").size() == 2);
}

TEST_CASE("tokenize: existing shards are replaced only when asked, and only when all went well") {
  const TemporaryFolder folder;
  write_bytes(folder / "a.jsonl", json_lines(50));
  write_bytes(folder / "b.txt", "new");
  write_bytes(folder / "bad.jsonl", json_lines(50) + "{\n");
  TokenizeOptions options;
  options.output = folder / "out";
  options.domains = {{"", {folder / "a.jsonl"}}};
  options.shard_tokens = 100;
  run(options);
  options.domains = {{"", {folder / "b.txt"}}};
  CHECK(contains(message(options), "--overwrite"));
  options.overwrite = true;
  options.domains = {{"", {folder / "b.txt", folder / "bad.jsonl"}}};
  CHECK(contains(message(options), "bad.jsonl' line 51"));
  CHECK(texts(options.output, "train").size() == 50);  // as it was
  options.domains = {{"", {folder / "b.txt"}}};
  run(options);
  CHECK(texts(options.output, "train") == std::vector<std::string>{"new"});
  CHECK(std::distance(fs::directory_iterator(options.output), {}) == 1);  // old and temporary files are gone
}

TEST_CASE("tokenize: shards of the other layout are refused, even to be overwritten") {
  const TemporaryFolder folder;
  write_bytes(folder / "a.txt", "x");
  write_bytes(folder / "b.txt", "new");
  TokenizeOptions plain, domain;
  plain.output = domain.output = folder / "out";
  plain.domains = {{"", {folder / "a.txt"}}};
  domain.domains = {{"q", {folder / "b.txt"}}};
  plain.overwrite = domain.overwrite = true;
  run(plain);
  std::string refusal = message(domain);
  CHECK(contains(refusal, "out/train-00000.h5'"));
  CHECK(contains(refusal, "remove them, or choose another --output"));
  CHECK(!fs::exists(folder / "out/q"));
  CHECK(texts(folder / "out", "train") == std::vector<std::string>{"x"});  // as it was
  fs::rename(folder / "out/train-00000.h5", folder / "out/heldout-00000.h5");
  CHECK(contains(message(domain), "out/heldout-00000.h5'"));

  fs::remove_all(folder / "out");
  run(domain);
  refusal = message(plain);
  CHECK(contains(refusal, "out/q/train-00000.h5'"));
  CHECK(contains(refusal, "remove them, or choose another --output"));
  CHECK(data::shard_paths(folder / "out", "train").empty());
  domain.domains.push_back({"r", {folder / "a.txt"}});  // further domains may join
  run(domain);
  CHECK(data::shard_domains(folder / "out", "train").size() == 2);
}

TEST_CASE("tokenize: domains that are not given again are named, not left among those that are replaced") {
  const TemporaryFolder folder;
  write_bytes(folder / "a.txt", "x");
  TokenizeOptions options;
  options.output = folder / "out";
  for (const char* name : {"p", "q", "r"}) options.domains.push_back({name, {folder / "a.txt"}});
  run(options);
  fs::create_directories(folder / "out/notes");  // holds no shards
  options.overwrite = true;
  run(options);
  options.domains.resize(1);
  write_bytes(folder / "a.txt", "new");
  CHECK(message(options) ==
        "--overwrite: '" + folder / "out/q" + "', '" + folder / "out/r" +
            "' hold shards of domains that are not given, which train would mix in: remove "
            "them, or choose another --output");
  CHECK(texts(folder / "out/p", "train") == std::vector<std::string>{"x"});  // as it was
  fs::remove_all(folder / "out/q");
  fs::rename(folder / "out/r/train-00000.h5", folder / "out/r/heldout-00000.h5");
  CHECK(contains(message(options), "out/r' holds shards of domains"));
  fs::remove_all(folder / "out/r");
  run(options);
  CHECK(texts(folder / "out/p", "train") == std::vector<std::string>{"new"});
}

namespace {

// Some documents held out, and a run that stops when it has named the training shards of the first domain: a
// folder takes the place of a held-out shard.
TokenizeOptions with_heldout(const TemporaryFolder& folder, const std::vector<std::string>& domains) {
  write_bytes(folder / "a.jsonl", json_lines(100));
  TokenizeOptions options;
  options.output = folder / "out";
  for (const std::string& name : domains) options.domains.push_back({name, {folder / "a.jsonl"}});
  options.heldout_share = 0.2;
  return options;
}

void stop_in_between(const TokenizeOptions& options) {
  const fs::path first = fs::path(options.output) / options.domains[0].name;
  const fs::path obstacle = first / "heldout-00000.h5";
  const auto run = [&] {
    tokenize_documents(options, data::ByteTokenizer(), [&](const TokenizeCounts&) {
      fs::remove(obstacle);
      fs::create_directories(obstacle);
    });
  };
  CHECK(contains(message_of<Error>(run), "cannot write '" + obstacle.string()));
  fs::remove(obstacle);
  CHECK(fs::exists(first / "train-00000.h5"));
}

std::string refusal(const std::string& folder, const std::string& kind) {
  return message_of<InputError>([&] { data::shard_domains(folder, kind); });
}

}  // namespace

TEST_CASE("tokenize: shards of a run that was stopped while it named them are refused until it is repeated") {
  const TemporaryFolder folder;
  TokenizeOptions options = with_heldout(folder, {""});
  stop_in_between(options);
  for (const char* kind : {"train", "heldout"}) {
    CHECK(contains(refusal(options.output, kind),
                   "'" + options.output + "' holds the mark 'shards.incomplete': tokenize was stopped"));
  }
  stop_in_between(options);  // again, in what it left: no shards to lose, so no --overwrite
  run(options);
  CHECK(data::shard_domains(options.output, "train").size() == 1);
  CHECK(data::shard_domains(options.output, "heldout").size() == 1);
  CHECK(std::distance(fs::directory_iterator(options.output), {}) == 2);

  CHECK(contains(message(options), "--overwrite"));
  options.overwrite = true;
  stop_in_between(options);
  CHECK(contains(refusal(options.output, "train"), "tokenize again with --overwrite"));
  options.overwrite = false;
  CHECK(contains(message(options), "holds shards already"));  // maybe those of the earlier run
  options.overwrite = true;
  run(options);
  CHECK(refusal(options.output, "train") == "no exception");
}

TEST_CASE("tokenize: all domains are marked until all of them are there") {
  const TemporaryFolder folder;
  TokenizeOptions options = with_heldout(folder, {"p", "q"});
  stop_in_between(options);
  CHECK(data::is_incomplete(folder / "out/p"));
  CHECK(data::is_incomplete(folder / "out/q"));
  CHECK(data::shard_paths(folder / "out/q", "train").empty());
  fs::remove_all(folder / "out/p");
  CHECK(contains(refusal(options.output, "train"), "out/q' holds the mark"));
  run(options);
  CHECK(data::shard_domains(options.output, "train").size() == 2);
}

TEST_CASE("tokenize: nothing to train on is said") {
  const TemporaryFolder folder;
  write_bytes(folder / "empty.txt", "");
  write_bytes(folder / "one.txt", "one");
  TokenizeOptions options;
  options.output = folder / "out";
  options.domains = {{"", {folder / "empty.txt"}}};
  CHECK(contains(message(options), "there is no text in " + (folder / "empty.txt") +
                                       " (files read: 1, empty documents: 1): give inputs that hold text"));
  options.domains = {{"", {folder / "one.txt"}}};
  options.heldout_share = 0.999999;
  CHECK(contains(message(options), "left none to train on"));
  options.domains = {{"", {folder / "missing.txt"}}};
  CHECK(contains(message(options), "missing.txt"));
  CHECK(data::shard_paths(folder / "out", "train").empty());
}

TEST_CASE("tokenize: a text in parts is one document, in the split that its hash says, with any threads") {
  const TemporaryFolder folder;
  std::string text;
  while (text.size() < 1500000) text += concat("line ", text.size() * 7919 % 100003, "\n");
  fs::create_directories(folder / "in");
  for (int i = 0; i < 4; ++i) write_bytes(folder / concat("in/", i, ".txt"), text + std::to_string(i));
  TokenizeOptions options;
  options.output = folder / "out";
  options.domains = {{"", {folder / "in"}}};
  options.heldout_share = 0.5;
  options.overwrite = true;
  for (const int threads : {1, 3}) {
    set_thread_count(threads);
    const TokenizeCounts counts = run(options);
    set_thread_count(2);
    CHECK(counts.documents == 4);
    CHECK(counts.bytes == 4 * static_cast<int64_t>(text.size() + 1));
    CHECK(counts.tokens == counts.bytes + 8);
    std::vector<std::string> train, heldout;
    for (int i = 0; i < 4; ++i) {
      const std::string document = text + std::to_string(i);
      (is_heldout(document, 0.5) ? heldout : train).push_back(document);
    }
    REQUIRE(!train.empty());
    REQUIRE(!heldout.empty());
    CHECK((texts(options.output, "train") == train));
    CHECK((texts(options.output, "heldout") == heldout));
    CHECK(counts.heldout_documents == static_cast<int64_t>(heldout.size()));
  }
}
