#include "data/bpe/pair_changes.h"

#include <doctest/doctest.h>

using namespace dlcm::data;

// Ids: a 0, b 1, x 2, y 3; ab becomes 4.
TEST_CASE("pair changes: what neighbours lose and gain, each word once for a pair") {
  PairCounts counts;
  PairQueue queue(1);
  counts[{2, 0}] = 8;
  counts[{1, 3}] = 3;
  counts[{1, 0}] = 5;
  PairChanges changes(5);
  changes.begin({0, 1}, 4);
  // Word 6, three times: "xaby".
  changes.add_before(2, 3, 6);
  changes.add_after(3, 3, 6);
  // Word 7, five times: "xabab", from the left.
  changes.add_before(2, 5, 7);
  changes.add_after(0, 5, 7);
  changes.add_before(4, 5, 7);
  changes.apply(counts, queue);

  CHECK(counts[{2, 0}] == 0);
  CHECK(counts[{1, 3}] == 0);
  CHECK(counts[{1, 0}] == 0);
  CHECK(counts[{2, 4}] == 8);
  CHECK(counts[{4, 3}] == 3);
  CHECK(counts[{4, 4}] == 5);
  CHECK(counts[{4, 0}] == 0);  // gained and lost again: it does not wait
  const auto check_next = [&](uint32_t left, uint32_t right, int64_t count,
                              const std::vector<uint32_t>& words) {
    const PairQueue::Waiting next = queue.pop();
    CHECK(next.pair.left == left);
    CHECK(next.pair.right == right);
    CHECK(next.count == count);
    CHECK(std::vector<uint32_t>(next.words.begin(), next.words.end()) == words);
  };
  check_next(2, 4, 8, {6, 7});
  check_next(4, 4, 5, {7});
  check_next(4, 3, 3, {6});
  CHECK(queue.empty());

  // Nothing is left of it.
  changes.begin({2, 4}, 3);
  changes.apply(counts, queue);
  CHECK(queue.empty());
}
