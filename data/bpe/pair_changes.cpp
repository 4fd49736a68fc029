#include "data/bpe/pair_changes.h"

#include <span>
#include <utility>

namespace dlcm::data {

// In "abab" the first merge gains the new token before "a", and the second loses it: counts are looked at
// when all changes are in them.
void PairChanges::apply(PairCounts& counts, PairQueue& queue) {
  for (const Neighbour& neighbour : neighbours_) counts[neighbour.gained_pair] += neighbour.count;
  for (const Neighbour& neighbour : neighbours_) counts[neighbour.lost_pair] -= neighbour.count;
  const std::span<uint32_t> words = queue.add_words(seen_.size());
  size_t first = 0;
  for (Neighbour& neighbour : neighbours_) {
    neighbour.first = first;
    first += std::exchange(neighbour.words, 0);
  }
  for (const Seen& seen : seen_) {
    Neighbour& neighbour = neighbours_[seen.neighbour];
    words[neighbour.first + neighbour.words++] = seen.word;
  }
  for (const Neighbour& neighbour : neighbours_) {
    *neighbour.index = kNone;
    queue.push({counts[neighbour.gained_pair], neighbour.gained_pair,
                words.subspan(neighbour.first, neighbour.words)});
  }
  neighbours_.clear();
  seen_.clear();
}

}  // namespace dlcm::data
