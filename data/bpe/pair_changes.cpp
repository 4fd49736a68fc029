#include "data/bpe/pair_changes.h"

#include <utility>

namespace dlcm::data {

// In "abab" the first merge gains the new token before "a", and the second loses it: counts are looked at
// when all changes are in them.
void PairChanges::apply(PairCounts& counts, PairQueue& queue) {
  for (const Neighbour& neighbour : neighbours_) counts[neighbour.gained_pair] += neighbour.count;
  for (const Neighbour& neighbour : neighbours_) counts[neighbour.lost_pair] -= neighbour.count;
  uint64_t first = queue.add_words(seen_.size());
  for (Neighbour& neighbour : neighbours_) {
    neighbour.first = first;
    first += std::exchange(neighbour.words, 0);
  }
  for (const Seen& seen : seen_) {
    Neighbour& neighbour = neighbours_[seen.neighbour];
    queue.word(neighbour.first + neighbour.words++) = seen.word;
  }
  for (const Neighbour& neighbour : neighbours_) {
    *neighbour.index = kNone;
    const int64_t count = counts[neighbour.gained_pair];
    if (count > 0) queue.push({count, neighbour.gained_pair, neighbour.first, neighbour.words});
  }
  neighbours_.clear();
  seen_.clear();
}

}  // namespace dlcm::data
