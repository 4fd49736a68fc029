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
  PairQueue queue;
  CHECK(queue.empty());
  const uint64_t first = queue.add_words(3);
  for (uint32_t i = 0; i < 3; ++i) queue.word(first + i) = 10 * i;
  queue.push({5, {2, 1}, first, 1});
  queue.push({5, {1, 9}, first + 1, 2});
  queue.push({9, {7, 7}, first, 3});
  queue.push({5, {1, 2}, first, 0});
  queue.push({4, {0, 0}, first, 0});
  const auto popped = [&](int64_t count, uint32_t left, uint32_t right, const std::vector<uint32_t>& words) {
    const PairQueue::Waiting top = queue.pop();
    CHECK(top.count == count);
    CHECK(top.pair.left == left);
    CHECK(top.pair.right == right);
    const auto found = queue.words_of(top);
    CHECK(std::vector<uint32_t>(found.begin(), found.end()) == words);
  };
  popped(9, 7, 7, {0, 10, 20});
  popped(5, 1, 2, {});
  popped(5, 1, 9, {10, 20});
  popped(5, 2, 1, {0});
  popped(4, 0, 0, {});
  CHECK(queue.empty());
}
