#include "data/bpe/byte_pairs.h"

#include <algorithm>
#include <limits>
#include <map>
#include <random>
#include <string>

#include <doctest/doctest.h>

using namespace dlcm::data;

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
      pairs.encode_short(text, work, by_scan);
      pairs.encode_long(text, work, by_lists);
      pairs.encode(text, work, by_size);
      CHECK(by_scan == expected);
      CHECK(by_lists == expected);
      CHECK(by_size == expected);
    }
  }
}

}  // namespace

TEST_CASE("byte pairs: scan and lists merge as the definition says") {
  check_random({"a", "b", "c"}, false);
  check_random({"a", "b", "c"}, true);
}

TEST_CASE("byte pairs: characters of several bytes, whose bytes may merge across them") {
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
