#include "data/heldout.h"

#include <numeric>
#include <tuple>

#include <doctest/doctest.h>

#include "tests/data/numbered_corpus.h"
#include "tests/data/temporary_folder.h"

using namespace dlcm;
using namespace dlcm::data;
using namespace dlcm::test;

TEST_CASE("held-out reader: however few tokens are asked for, every domain gives a target") {
  const TemporaryFolder folder;
  NumberedCorpus corpus;
  corpus.write(folder / "a", "heldout", 0, {50, 40});
  corpus.write(folder / "b", "heldout", 0, {1, 1});  // the first targets are in the next shard
  corpus.write(folder / "b", "heldout", 1, {1, 9});
  corpus.write(folder / "c", "heldout", 0, {1});  // none at all
  const auto read = [&](const std::string& source, int64_t max_tokens) {
    HeldoutReader reader({source, 8, 16, max_tokens});
    int64_t tokens = 0, targets = 0;
    while (const auto next = reader.next()) {
      tokens += next->batch.token_count();
      for (const int32_t target : next->batch.targets.to_vector<int32_t>()) targets += target >= 0;
    }
    CHECK(tokens == reader.tokens());
    return std::pair(tokens, targets);
  };
  using Counts = std::pair<int64_t, int64_t>;
  for (const int64_t max_tokens : {1, 2, 3}) {
    CHECK(read(folder.path(), max_tokens) == Counts(2 + 4 + 1, 2 + 1));
    CHECK(read(folder / "b", 1) == Counts(4, 1));
  }
  CHECK(read(folder.path(), 60) == Counts(52 + 6 + 1, 49 + 2 + 3));
  CHECK(read(folder.path(), 0) == Counts(0, 0));
  CHECK(read(folder / "c", 1) == Counts(1, 0));
}

TEST_CASE("held-out reader: all documents in order, bytes pro rata") {
  const TemporaryFolder folder;
  NumberedCorpus corpus;
  corpus.write(folder / "code", "heldout", 0, {40, 1, 90});
  corpus.write(folder / "code", "heldout", 1, {64});
  corpus.write(folder / "english", "heldout", 0, {33, 2});
  const auto read = [&](int64_t max_tokens, int64_t batch_tokens) {
    HeldoutReader reader({folder.path(), 32, batch_tokens, max_tokens});
    std::vector<int32_t> tokens, targets;
    int64_t bytes = 0;
    while (const auto next = reader.next()) {
      CHECK(next->batch.token_count() <= batch_tokens);
      REQUIRE(next->pieces.size() == static_cast<size_t>(next->batch.document_count()));
      for (const HeldoutPiece& piece : next->pieces) bytes += piece.bytes;
      const auto some = next->batch.tokens.to_vector<int32_t>();
      tokens.insert(tokens.end(), some.begin(), some.end());
      for (const int32_t target : next->batch.targets.to_vector<int32_t>()) {
        if (target >= 0) targets.push_back(target);
      }
    }
    CHECK(static_cast<int64_t>(tokens.size()) == reader.tokens());
    return std::tuple(tokens, targets, bytes);
  };
  std::vector<int32_t> all(static_cast<size_t>(corpus.tokens()));
  std::iota(all.begin(), all.end(), 0);
  for (const int64_t batch_tokens : {32, 33, 100, 1000}) {
    const auto [tokens, targets, bytes] = read(-1, batch_tokens);
    CHECK(tokens == all);
    CHECK(targets.size() == all.size() - corpus.firsts.size());
    CHECK(bytes == corpus.bytes);
  }
  const auto [tokens, targets, bytes] = read(115, 64);  // half of each domain
  CHECK(tokens.size() >= 113);
  CHECK(tokens.size() <= 115);
  CHECK(bytes < corpus.bytes);
  CHECK(bytes > corpus.bytes / 3);
  HeldoutReader reader({folder / "code/heldout-00001.h5", 32, 64, -1});
  CHECK(reader.tokens() == 64);
  CHECK(reader.next().has_value());
  CHECK(!reader.next().has_value());
  reader.restart();
  CHECK(reader.next()->batch.token_count() == 64);
  CHECK(contains(message_of<InputError>([&] {
                   HeldoutReader({folder / "none", 32, 64, -1});
                 }),
                 "there is no"));
  std::filesystem::create_directories(folder / "empty");
  CHECK(contains(message_of<InputError>([&] {
                   HeldoutReader({folder / "empty", 32, 64, -1});
                 }),
                 "no held-out"));
  std::filesystem::create_directories(folder / "nothing");
  corpus.write(folder / "nothing", "heldout", 0, {});
  CHECK(contains(message_of<InputError>([&] {
                   HeldoutReader({folder / "nothing", 32, 64, -1});
                 }),
                 "nothing' holds no documents to evaluate: make held-out shards with tokenize --heldout"));
}

TEST_CASE("held-out reader: a sample is spread evenly over each domain, in whole sections") {
  const TemporaryFolder folder;
  NumberedCorpus corpus;
  corpus.write(folder / "code", "heldout", 0, {3200, 64});  // a long document first
  corpus.write(folder / "code", "heldout", 1, std::vector<int64_t>(100, 32));
  corpus.write(folder / "english", "heldout", 0, {32, 32});
  HeldoutReader reader({folder.path(), 32, 64, 640, HeldoutChoice::spread});
  CHECK(reader.tokens() <= 640 + 32);
  CHECK(reader.tokens() >= 512);
  int64_t tokens = 0, of_the_long = 0, of_english = 0;
  while (const auto next = reader.next()) {
    const auto given = next->batch.tokens.to_vector<int32_t>();
    const auto offsets = next->batch.cu_seqlens.to_vector<int32_t>();
    tokens += static_cast<int64_t>(given.size());
    for (size_t i = 0; i + 1 < offsets.size(); ++i) {
      const int32_t first = given[static_cast<size_t>(offsets[i])];
      CHECK(offsets[i + 1] - offsets[i] == 32);
      of_the_long += first < 3200 ? 1 : 0;
      of_english += first >= 6464 ? 1 : 0;
    }
  }
  CHECK(tokens == reader.tokens());
  CHECK(of_english == 1);
  CHECK(of_the_long >= 8);
  CHECK(of_the_long <= 10);
  // All of it is the same either way.
  HeldoutReader all({folder.path(), 32, 64, -1, HeldoutChoice::spread});
  CHECK(all.tokens() == corpus.tokens());
  HeldoutReader none({folder.path(), 32, 64, 0, HeldoutChoice::spread});
  CHECK(!none.next().has_value());
}

TEST_CASE("held-out reader: whose domain a piece is; the beginning of a document of each") {
  const TemporaryFolder folder;
  NumberedCorpus corpus;  // tokens are their number in the corpus
  corpus.write(folder / "code", "heldout", 0, {3, 40});
  corpus.write(folder / "english", "heldout", 0, {5, 7});
  corpus.write(folder / "english", "heldout", 1, {6});
  corpus.write(folder / "none", "heldout", 0, {});
  HeldoutReader reader({folder.path(), 16, 64, -1});
  CHECK(reader.domains() == std::vector<std::string>{"code", "english", "none"});
  std::vector<size_t> domains;
  int64_t bytes[2] = {};
  while (const auto next = reader.next()) {
    for (const HeldoutPiece& piece : next->pieces) {
      domains.push_back(piece.domain);
      REQUIRE(piece.domain < 2);
      bytes[piece.domain] += piece.bytes;
    }
  }
  CHECK(domains == std::vector<size_t>{0, 0, 0, 0, 1, 1, 1});
  CHECK(bytes[0] + bytes[1] == corpus.bytes);
  HeldoutReader code({folder / "code", 16, 64, -1});
  CHECK(code.domains() == std::vector<std::string>{""});
  int64_t of_code = 0;
  while (const auto next = code.next()) {
    for (const HeldoutPiece& piece : next->pieces) of_code += piece.bytes;
  }
  CHECK(of_code == bytes[0]);

  CHECK(reader.beginning(0, 3) == std::vector<int32_t>{0, 1, 2});
  CHECK(reader.beginning(0, 4) == std::vector<int32_t>{3, 4, 5, 6});
  CHECK(reader.beginning(1, 100) == std::vector<int32_t>{48, 49, 50, 51, 52, 53, 54});  // its longest
  CHECK(reader.beginning(2, 4).empty());
}
