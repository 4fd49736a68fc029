#include "data/bpe/trainer.h"

#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <sstream>

#include <doctest/doctest.h>

#include "data/bpe/vocabulary.h"
#include "data/document_source.h"
#include "data/input_stream.h"
#include "tests/data/temporary_folder.h"
#include "tests/paths.h"

using namespace dlcm;
using namespace dlcm::data;
using namespace dlcm::test;

namespace {

using Strings = std::vector<std::string>;
using Pieces = std::vector<std::pair<std::string, uint64_t>>;

TrainedTokens train(const Pieces& pieces, const TrainerOptions& options) {
  PieceCounts counts;
  for (const auto& [piece, count] : pieces) counts.add(piece, count);
  return train_byte_pairs(counts, options, [](int64_t) {});
}

// With room for so many merges, without special tokens.
TrainedTokens train(const Pieces& pieces, int64_t merges, int64_t min_frequency = 0) {
  return train(pieces, {256 + merges, min_frequency, {}});
}

Strings merges_of(const TrainedTokens& trained) {
  Strings merges;
  for (const Merge& merge : trained.merges) {
    const std::string left = trained.tokens[static_cast<size_t>(merge.left)];
    const std::string right = trained.tokens[static_cast<size_t>(merge.right)];
    CHECK(trained.tokens[static_cast<size_t>(merge.merged)] == left + right);
    merges.push_back(concat(left, " ", right));
  }
  return merges;
}

std::string message(const TrainerOptions& options) {
  return message_of<InputError>([&] { train({{"ab", 1}}, options); });
}

// The definition: all pairs are counted anew before each merge.
Strings merges_by_definition(const Pieces& pieces, int64_t merges) {
  std::vector<std::pair<Strings, uint64_t>> words;
  std::map<std::string, int> ids;
  for (int byte = 0; byte < 256; ++byte) ids[character_of_byte(static_cast<unsigned char>(byte))] = 0;
  int next_id = 0;
  for (auto& [character, id] : ids) id = next_id++;
  for (const auto& [piece, count] : pieces) {
    words.push_back({{}, count});
    for (const char c : piece) words.back().first.push_back(character_of_byte(static_cast<unsigned char>(c)));
  }
  Strings done;
  while (std::cmp_less(done.size(), merges)) {
    std::map<std::pair<int, int>, std::pair<uint64_t, std::pair<std::string, std::string>>> counts;
    for (const auto& [word, count] : words) {
      for (size_t i = 0; i + 1 < word.size(); ++i) {
        auto& [sum, texts] = counts[{ids[word[i]], ids[word[i + 1]]}];
        sum += count;
        texts = {word[i], word[i + 1]};
      }
    }
    if (counts.empty()) break;
    auto best = counts.begin();
    for (auto it = counts.begin(); it != counts.end(); ++it) {
      if (it->second.first > best->second.first) best = it;
    }
    const auto [left, right] = best->second.second;
    CHECK(ids.emplace(left + right, next_id++).second);  // no text comes from two pairs
    done.push_back(concat(left, " ", right));
    for (auto& [word, count] : words) {
      Strings merged;
      for (size_t i = 0; i < word.size(); ++i) {
        const bool pair = i + 1 < word.size() && word[i] == left && word[i + 1] == right;
        merged.push_back(pair ? left + right : word[i]);
        i += pair ? 1 : 0;
      }
      word = merged;
    }
  }
  return done;
}

}  // namespace

TEST_CASE("trainer: the most frequent pair first") {
  const Pieces pieces = {{"low", 5}, {"lower", 2}, {"newest", 6}, {"widest", 3}};
  const TrainedTokens trained = train(pieces, 10);
  // es and st occur 9 times each, lo and ow 7 times, ew, ne and w est 6 times: the lower ids first.
  CHECK(merges_of(trained) ==
        Strings{"e s", "es t", "l o", "lo w", "e w", "n ew", "new est", "d est", "i dest", "w idest"});
  CHECK(trained.tokens.size() == 266);
  CHECK(trained.tokens[256] == "es");
  CHECK(trained.special_tokens == 0);
  CHECK(trained.text_tokens == 5 * 1 + 2 * 3 + 6 * 1 + 3 * 1);
}

TEST_CASE("trainer: ids of bytes are in the order of their characters, behind the special tokens") {
  const TrainedTokens trained = train({{" a", 1}}, {300, 0, {"<s>", "</s>"}});
  CHECK(trained.special_tokens == 2);
  CHECK(trained.tokens[0] == "<s>");
  CHECK(trained.tokens[2] == "!");
  CHECK(trained.tokens[2 + 'a' - '!'] == "a");
  CHECK(trained.tokens[2 + 93] == "~");
  CHECK(trained.tokens[2 + 94] == "¡");
  CHECK(trained.tokens[2 + 255] == "Ń");  // byte 0xAD
  CHECK(merges_of(trained) == Strings{"Ġ a"});
  CHECK(trained.tokens.size() == 259);  // no more pairs
  CHECK(std::set<std::string>(trained.tokens.begin(), trained.tokens.end()).size() == 259);
}

TEST_CASE("trainer: ties go to the lower left id, then to the lower right one") {
  CHECK(merges_of(train({{"ba", 1}, {"ab", 1}, {"ac", 1}}, 2)) == Strings{"a b", "a c"});
  // Byte 0 is written as a character of a higher id than that of byte 0xFF.
  const std::string zero(1, '\0');
  CHECK(merges_of(train({{zero + "x", 1}, {"\xFFx", 1}}, 1)) == Strings{"ÿ x"});
}

TEST_CASE("trainer: pairs that overlap themselves") {
  CHECK(merges_of(train({{"aaaa", 1}, {"bc", 2}}, 3)) == Strings{"a a", "b c", "aa aa"});
  CHECK(merges_of(train({{"aaaaa", 2}}, 9)) == Strings{"a a", "aa a", "aa aaa"});
  CHECK(train({{"aaaaa", 2}}, 1).text_tokens == 6);
  CHECK(merges_of(train({{"ababab", 1}}, 9)) == Strings{"a b", "ab ab", "abab ab"});
}

TEST_CASE("trainer: ends where pairs are too rare or there are none") {
  const Pieces pieces = {{"abc", 3}, {"xy", 2}, {"q", 9}};
  CHECK(merges_of(train(pieces, 99)) == Strings{"a b", "ab c", "x y"});
  CHECK(merges_of(train(pieces, 99, 1)) == Strings{"a b", "ab c", "x y"});
  CHECK(merges_of(train(pieces, 99, 3)) == Strings{"a b", "ab c"});
  CHECK(merges_of(train(pieces, 99, 4)).empty());
  CHECK(train(pieces, 99, 4).text_tokens == 9 + 4 + 9);
  CHECK(merges_of(train(pieces, 0)).empty());
  CHECK(merges_of(train({}, 5)).empty());
}

TEST_CASE("trainer: a merge may give the text of a special token") {
  const TrainedTokens trained = train({{"abc", 2}}, {1 + 256 + 9, 0, {"ab"}});
  CHECK(merges_of(trained) == Strings{"a b", "ab c"});
  CHECK(trained.merges[0].merged == 0);
  CHECK(trained.tokens.size() == 258);
  // So may a byte, which has no other token then.
  CHECK(train({{"abc", 2}}, {1 + 256, 0, {"b"}}).tokens.size() == 257);
}

TEST_CASE("trainer: what cannot be is refused") {
  CHECK(contains(
      message({257, 0, {"<s>", "</s>"}}),
      "a vocabulary of 257 ids: with 2 special tokens and the 256 bytes expected are 258 to 4194304"));
  CHECK(contains(message({int64_t{1} << 40, 0, {}}), "expected are 256 to 4194304"));
  CHECK(contains(message({300, 0, {"a", "a"}}), "the special token 'a' is there twice"));
  CHECK(contains(message({300, 0, {""}}), "a special token is empty"));
  CHECK(contains(message({300, 0, {"\xFF"}}), "is not UTF-8"));
  CHECK(contains(message({300, 0, {"Ġ"}}), "the special token 'Ġ' is also how"));
  const auto merged = [] { train({{" the", 2}}, {300, 0, {"Ġthe"}}); };
  CHECK(contains(message_of<InputError>(merged), "the special token 'Ġthe' is also how"));
}

TEST_CASE("trainer: the merges of the definition, on random pieces in any order") {
  std::mt19937 random(17);
  for (int round = 0; round < 40; ++round) {
    const size_t letters = 1 + random() % 4;
    Pieces pieces;
    std::set<std::string> seen;
    for (size_t words = 1 + random() % 12; words > 0; --words) {
      std::string piece;
      for (size_t n = 1 + random() % 14; n > 0; --n) piece += static_cast<char>('a' + random() % letters);
      if (seen.insert(piece).second) pieces.emplace_back(piece, 1 + random() % 4);
    }
    const Strings expected = merges_by_definition(pieces, 25);
    CHECK(merges_of(train(pieces, 25)) == expected);
    std::shuffle(pieces.begin(), pieces.end(), random);
    CHECK(merges_of(train(pieces, 25)) == expected);
  }
}

// See tests/goldens/make_trainer_goldens.py.
TEST_CASE("trainer: tokens and merges of the reference") {
  const std::unique_ptr<InputStream> stream = open_input(source_folder() + "/tests/goldens/trained.jsonl.gz");
  std::string bytes;
  std::vector<char> buffer(size_t{1} << 20);
  while (const size_t count = stream->read(buffer.data(), buffer.size())) bytes.append(buffer.data(), count);
  std::istringstream lines(bytes);
  int cases = 0;
  PieceCounts text;
  for (std::string line; std::getline(lines, line); ++cases) {
    const nlohmann::json golden = nlohmann::json::parse(line);
    CAPTURE(golden["name"].get<std::string>());
    const bool is_file = golden["documents"].is_null();
    PieceCounts counts;
    if (!is_file) {
      for (const auto& document : golden["documents"]) counts.add_text(document.get<std::string>());
    } else if (text.distinct() == 0) {
      DocumentSource source({source_folder() + "/data/text/gutenberg.jsonl"});
      for (std::string document; source.next(document);) text.add_text(document);
    }
    const auto special = golden["special_tokens"].get<Strings>();
    const TrainedTokens trained = train_byte_pairs(
        is_file ? text : counts, {golden["vocab_size"], golden["min_frequency"], special}, [](int64_t) {});
    const auto first = trained.tokens.begin() + static_cast<std::ptrdiff_t>(special.size() + 256);
    CHECK(Strings(first, trained.tokens.end()) == golden["tokens"].get<Strings>());
    CHECK(merges_of(trained) == golden["merges"].get<Strings>());
  }
  CHECK(cases == 38);
}
