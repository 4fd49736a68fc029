#include "data/bpe/byte_pairs.h"

#include <algorithm>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <utility>

#include <doctest/doctest.h>

#include "tests/data/temporary_folder.h"

using namespace dlcm;
using namespace dlcm::data;
using namespace dlcm::test;

namespace {

// The definition: the pair with the lowest rank, the leftmost first, until none is left.
std::vector<int32_t> merge_plainly(std::vector<int32_t> ids, const std::vector<Merge>& merges) {
  std::map<std::pair<int32_t, int32_t>, size_t> ranks;
  for (size_t rank = 0; rank < merges.size(); ++rank) ranks[{merges[rank].left, merges[rank].right}] = rank;
  while (true) {
    size_t best = merges.size();
    size_t at = 0;
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      const auto found = ranks.find({ids[i], ids[i + 1]});
      if (found == ranks.end() || found->second >= best) continue;
      best = found->second;
      at = i;
    }
    if (best == merges.size()) return ids;
    ids[at] = merges[best].merged;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
}

std::array<int32_t, 256> all_bytes() {
  std::array<int32_t, 256> ids{};
  for (size_t byte = 0; byte < 256; ++byte) ids[byte] = static_cast<int32_t>(byte);
  return ids;
}

// Merges of random neighbours in random text over the alphabet, in the order in which they were made or
// shuffled.
std::vector<Merge> random_merges(std::mt19937& random, const std::vector<std::string>& alphabet,
                                 bool shuffled) {
  std::map<std::string, int32_t> tokens;
  std::vector<std::string> texts;
  for (int byte = 0; byte < 256; ++byte) {
    texts.emplace_back(1, static_cast<char>(byte));
    tokens[texts.back()] = byte;
  }
  std::vector<int32_t> known;
  for (const std::string& letter : alphabet) {
    for (const char c : letter) known.push_back(static_cast<unsigned char>(c));
  }
  std::vector<Merge> merges;
  for (int i = 0; i < 60; ++i) {
    const int32_t left = known[random() % known.size()];
    const int32_t right = known[random() % known.size()];
    const std::string text = texts[static_cast<size_t>(left)] + texts[static_cast<size_t>(right)];
    if (text.size() > 12) continue;
    const auto [token, is_new] = tokens.emplace(text, static_cast<int32_t>(texts.size()));
    if (is_new) texts.push_back(text);
    merges.push_back({left, right, token->second});
    known.push_back(token->second);
  }
  if (shuffled) std::shuffle(merges.begin(), merges.end(), random);
  return merges;
}

void check_random(const std::vector<std::string>& alphabet, bool shuffled) {
  std::mt19937 random(3);
  BytePairs::Work work;
  for (int vocabulary = 0; vocabulary < 60; ++vocabulary) {
    const std::vector<Merge> merges = random_merges(random, alphabet, shuffled);
    const BytePairs pairs(all_bytes(), merges);
    for (int i = 0; i < 20; ++i) {
      std::string text;
      for (size_t letters = random() % 120; letters > 0; --letters)
        text += alphabet[random() % alphabet.size()];
      std::vector<int32_t> bytes;
      for (const char c : text) bytes.push_back(static_cast<unsigned char>(c));
      const std::vector<int32_t> expected = merge_plainly(bytes, merges);
      std::vector<int32_t> by_scan;
      std::vector<int32_t> by_lists;
      std::vector<int32_t> by_size;
      if (text.size() <= BytePairs::kMostShort) {
        pairs.encode_short(text, work, by_scan);
        CHECK(by_scan == expected);
      }
      pairs.encode_long(text, work, by_lists);
      pairs.encode(text, work, by_size);
      CHECK(by_lists == expected);
      CHECK(by_size == expected);
      std::vector<int32_t> by_windows;
      if (pairs.encode_windows(text, work, by_windows)) CHECK(by_windows == expected);
    }
  }
}

}  // namespace

TEST_CASE("byte pairs: scan and lists merge as the definition says" * doctest::test_suite("numerics")) {
  check_random({"a", "b", "c"}, false);
  check_random({"a", "b", "c"}, true);
}

TEST_CASE("byte pairs: characters of several bytes, whose bytes may merge across them" *
          doctest::test_suite("numerics")) {
  const std::vector<std::string> alphabet = {"中", "丮", "é", "è", "a", "🙂"};
  check_random(alphabet, false);
  check_random(alphabet, true);
}

TEST_CASE("byte pairs: bytes without a token are left out") {
  std::array<int32_t, 256> ids = all_bytes();
  ids['x'] = -1;
  const std::vector<Merge> merges = {{'a', 'b', 300}};
  const BytePairs pairs(ids, merges);
  BytePairs::Work work;
  std::vector<int32_t> found;
  pairs.encode("xaxbx", work, found);
  CHECK(found == std::vector<int32_t>{300});
  pairs.encode("x", work, found);
  pairs.encode("", work, found);
  CHECK(found.size() == 1);
}

TEST_CASE("byte pairs: a merge of a whole character may have a lower rank than what makes it") {
  // U+00AA U+00E9 is C2 AA C3 A9. (C2 AA) comes before (C3 A9), after which AA is no more there for (AA,
  // U+00E9), the merge of the lowest rank.
  const std::vector<Merge> merges = {{0xAA, 256, 258}, {0xC2, 0xAA, 257}, {0xC3, 0xA9, 256}};
  const BytePairs pairs(all_bytes(), merges);
  BytePairs::Work work;
  std::vector<int32_t> found;
  pairs.encode("\xC2\xAA\xC3\xA9", work, found);
  CHECK(found == std::vector<int32_t>{257, 256});
}

TEST_CASE("byte pairs: merged ids in the order of the ranks, or not") {
  std::vector<Merge> merges = {{'a', 'b', 300}, {'b', 'c', 301}, {300, 'c', 302}};
  const std::vector<int32_t> expected_in_order = {302, 301};
  BytePairs::Work work;
  std::vector<int32_t> found;
  BytePairs(all_bytes(), merges).encode("abcbc", work, found);
  CHECK(found == expected_in_order);
  merges[1].merged = 310;
  found.clear();
  BytePairs(all_bytes(), merges).encode("abcbc", work, found);
  CHECK(found == std::vector<int32_t>{302, 310});
}

TEST_CASE("byte pairs: windows are taken, and their work is linear, whatever a long piece holds") {
  const std::vector<Merge>& merges = [] {
    static std::mt19937 random(4);
    static const std::vector<Merge> made = random_merges(random, {"a", "b", "c"}, false);
    return made;
  }();
  const BytePairs pairs(all_bytes(), merges);
  std::mt19937 random(8);
  std::string letters, period;
  for (int i = 0; i < 40000; ++i) letters += static_cast<char>('a' + random() % 3);
  for (int i = 0; i < 10000; ++i) period += "abca";
  std::string any;
  for (int i = 0; i < 40000; ++i) any += static_cast<char>(random());
  for (const std::string& text : {letters, period, any, std::string(40000, 'a'), std::string(40000, ' ')}) {
    BytePairs::Work work;
    std::vector<int32_t> by_windows;
    REQUIRE(pairs.encode_windows(text, work, by_windows));
    CHECK(work.scanned < 100 * text.size());
    const size_t whole = std::exchange(work.scanned, 0);
    std::vector<int32_t> half;
    REQUIRE(pairs.encode_windows(text.substr(0, text.size() / 2), work, half));
    CHECK(whole < 3 * work.scanned);
    std::vector<int32_t> expected;
    pairs.encode_long(text, work, expected);
    CHECK((by_windows == expected));
  }
}

TEST_CASE("byte pairs: a token that no window holds, and ids that another end of the text would change") {
  // The 4,096 bytes of a token, doubled from one: no window holds several.
  std::vector<Merge> doubling;
  for (int32_t i = 0; i < 12; ++i) {
    const int32_t part = i == 0 ? 'a' : 299 + i;
    doubling.push_back({part, part, 300 + i});
  }
  const BytePairs pairs(all_bytes(), doubling);
  BytePairs::Work work;
  std::vector<int32_t> found;
  const std::string text(50000, 'a');
  CHECK_FALSE(pairs.encode_windows(text, work, found));
  CHECK(found.empty());
  pairs.encode(text, work, found);
  std::vector<int32_t> expected;
  pairs.encode_long(text, work, expected);
  CHECK((found == expected));
  // A chain whose first link is what the last one leaves: b joins to the left all the way.
  std::vector<Merge> chain = {{'a', 'b', 300}, {'a', 300, 301}};
  for (int32_t i = 0; i < 60; ++i) chain.push_back({'a', 301 + i, 302 + i});
  const BytePairs links(all_bytes(), chain);
  for (const int length : {200, 1000, 5000}) {
    const std::string ends =
        std::string(static_cast<size_t>(length), 'a') + "b" + std::string(300, 'a') + "b";
    found.clear();
    expected.clear();
    links.encode(ends, work, found);
    links.encode_long(ends, work, expected);
    CHECK((found == expected));
  }
}

TEST_CASE("byte pairs: the highest ids are kept, and too many merges of them refused") {
  constexpr int32_t kHighest = (1 << 22) - 1;  // of a file
  const std::vector<Merge> merges = {{'a', 'b', kHighest - 1}, {kHighest - 1, 'c', kHighest}};
  BytePairs::Work work;
  std::vector<int32_t> found;
  BytePairs(all_bytes(), merges).encode("abcab", work, found);
  CHECK(found == std::vector<int32_t>{kHighest, kHighest - 1});
  std::vector<Merge> many(1 << 19, {'a', 'b', kHighest - 1});
  CHECK(contains(message_of<InputError>([&] { BytePairs(all_bytes(), many); }),
                 "524288 merges of ids of 22 bits, fewer than 524288 are possible"));
}
