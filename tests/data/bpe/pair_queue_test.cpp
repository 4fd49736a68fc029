#include "data/bpe/pair_queue.h"

#include <map>
#include <random>

#include <doctest/doctest.h>

using namespace dlcm::data;

TEST_CASE("pair counts: as of a map, while the table grows") {
  PairCounts counts;
  std::map<uint64_t, int64_t> expected;
  std::mt19937 random(2);
  for (int i = 0; i < 30000; ++i) {
    const TokenPair pair{static_cast<uint32_t>(random() % 200), static_cast<uint32_t>(random() % 200)};
    const auto change = static_cast<int64_t>(random() % 100) - 50;
    counts[pair] += change;
    expected[pair.key()] += change;
  }
  for (uint32_t left = 0; left < 200; ++left) {
    for (uint32_t right = 0; right < 200; ++right) {
      const TokenPair pair{left, right};
      CHECK(counts[pair] == expected[pair.key()]);
    }
  }
}

TEST_CASE("pair queue: the highest count, then the lower left id, then the lower right one") {
  PairQueue queue(4);
  CHECK(queue.empty());
  const std::span<uint32_t> words = queue.add_words(3);
  for (uint32_t i = 0; i < 3; ++i) words[i] = 10 * i;
  queue.push({5, {2, 1}, words.first(1)});
  queue.push({5, {1, 9}, words.subspan(1)});
  queue.push({9, {7, 7}, words});
  queue.push({5, {1, 2}, {}});
  queue.push({4, {0, 0}, {}});
  queue.push({3, {0, 1}, words});  // too rare
  const auto popped = [&](int64_t count, uint32_t left, uint32_t right,
                          const std::vector<uint32_t>& expected) {
    const PairQueue::Waiting top = queue.pop();
    CHECK(top.count == count);
    CHECK(top.pair.left == left);
    CHECK(top.pair.right == right);
    CHECK(std::vector<uint32_t>(top.words.begin(), top.words.end()) == expected);
  };
  popped(9, 7, 7, {0, 10, 20});
  popped(5, 1, 2, {});
  popped(5, 1, 9, {10, 20});
  popped(5, 2, 1, {0});
  popped(4, 0, 0, {});
  CHECK(queue.empty());
}

TEST_CASE("pair queue: memory for words stays where it is") {
  PairQueue queue(1);
  std::vector<std::span<uint32_t>> all;
  for (const size_t count :
       {size_t{3}, size_t{0}, size_t{300000}, size_t{100000}, size_t{262144}, size_t{1}}) {
    all.push_back(queue.add_words(count));
    REQUIRE(all.back().size() == count);
    std::fill(all.back().begin(), all.back().end(), static_cast<uint32_t>(all.size()));
  }
  for (size_t i = 0; i < all.size(); ++i) {
    CHECK(std::all_of(all[i].begin(), all[i].end(), [&](uint32_t word) { return word == i + 1; }));
  }
}
