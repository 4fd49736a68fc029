#include "data/bpe/pair_ranks.h"

#include <algorithm>
#include <bit>

#include "tensor/check.h"

namespace dlcm::data {

PairRanks::PairRanks(int32_t highest_id, size_t merges)
    : no_id_(highest_id + 1), filter_((size_t{1} << kFilterBits) / 64) {
  constexpr int kMostRankBits = 24;
  id_bits_ = std::bit_width(static_cast<uint32_t>(no_id_));
  rank_bits_ = std::bit_width(merges);
  const int most = std::min(kMostRankBits, 63 - 2 * id_bits_);
  DLCM_CHECK_INPUT(rank_bits_ <= most, "byte pairs: ", merges, " merges of ids of ", id_bits_,
                   " bits, fewer than ", int64_t{1} << most, " are possible");
  const size_t slots = std::bit_ceil(std::max<size_t>(16, merges * 4));
  slots_.assign(slots, kEmpty);
  shift_ = 64 - std::countr_zero(slots);
}

void PairRanks::set(int32_t left, int32_t right, uint32_t rank) {
  const uint64_t key = key_of(left, right);
  const uint64_t hash = hash_of(key);
  const uint64_t bit = hash >> kFilterShift;
  filter_[bit / 64] |= uint64_t{1} << (bit % 64);
  size_t slot = hash >> shift_;
  while ((slots_[slot] ^ key) >> rank_bits_ != 0 && slots_[slot] != kEmpty) slot = next(slot);
  slots_[slot] = key | rank;
}

}  // namespace dlcm::data
