// What the merges of one pair change in the counts of others: a neighbour of a merged pair loses the pair
// that it made with one of its parts and gains one with the new token.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "data/bpe/pair_queue.h"

namespace dlcm::data {

class PairChanges {
 public:
  explicit PairChanges(size_t most_tokens) : before_(most_tokens, kNone), after_(most_tokens, kNone) {}

  // `merged`, which is in no word yet, takes the place of the pair. Words must then come one after another.
  void begin(TokenPair pair, uint32_t merged) {
    pair_ = pair;
    merged_ = merged;
  }
  // The token before, or behind, a merged pair in the word, which occurs `count` times.
  void add_before(uint32_t id, uint64_t count, uint32_t word) {
    add(neighbour_of(before_[id], {id, pair_.left}, {id, merged_}), count, word);
  }
  void add_after(uint32_t id, uint64_t count, uint32_t word) {
    add(neighbour_of(after_[id], {pair_.right, id}, {merged_, id}), count, word);
  }
  // Changes the counts and puts the new pairs into the queue.
  void apply(PairCounts& counts, PairQueue& queue);

 private:
  static constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();
  struct Neighbour {
    uint32_t* index;
    TokenPair lost_pair;
    TokenPair gained_pair;
    int64_t count = 0;
    uint32_t last_word = kNone;
    uint32_t words = 0;
    size_t first = 0;  // of its words among those of all
  };
  struct Seen {
    uint32_t neighbour;
    uint32_t word;
  };
  Neighbour& neighbour_of(uint32_t& index, TokenPair lost, TokenPair gained) {
    if (index == kNone) {
      index = static_cast<uint32_t>(neighbours_.size());
      neighbours_.push_back({&index, lost, gained});
    }
    return neighbours_[index];
  }
  void add(Neighbour& neighbour, uint64_t count, uint32_t word) {
    neighbour.count += static_cast<int64_t>(count);
    if (neighbour.last_word == word) return;
    neighbour.last_word = word;
    ++neighbour.words;
    seen_.push_back({*neighbour.index, word});
  }

  TokenPair pair_{};
  uint32_t merged_ = 0;
  std::vector<uint32_t> before_, after_;  // [id]: index of its neighbour, or kNone
  std::vector<Neighbour> neighbours_;
  std::vector<Seen> seen_;
};

}  // namespace dlcm::data
