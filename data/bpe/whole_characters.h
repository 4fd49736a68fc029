// Which characters merging can begin with, in place of their bytes: it saves most of the work on text that is
// not ASCII.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/bpe/byte_pairs.h"

namespace dlcm::data {

// What the bytes of a character merge to when they stand alone: the token, -1 where they are several, and the
// highest rank on the way.
struct AloneResult {
  int32_t id;
  uint32_t highest_rank;
};

// For each code point below 2^16 the token that its bytes have become before any of them merges with a
// neighbour that is not ASCII; -1 where that is not certain. Empty where there is none.
//
// The first merge across an end of a character c joins a beginning of c, or all of it, with a token before
// it, or an end of c with one behind it. As the lowest rank comes first, it is enough that all such merges
// have higher ranks than those that make c: while these are not done no such merge is, and when they are,
// none of lower rank becomes possible that a neighbour's own merges would have prevented.
std::vector<int32_t> find_whole_characters(const std::array<int32_t, 256>& byte_ids,
                                           std::span<const Merge> merges,
                                           const std::function<AloneResult(std::string_view)>& merge_alone);

}  // namespace dlcm::data
