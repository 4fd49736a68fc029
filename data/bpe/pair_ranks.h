// The rank of a pair of ids: most of what merging asks, in no order that a cache could foresee. That most
// pairs have none is foreseen by the processor's branches: without them, each merge would wait for its
// questions.
#pragma once

#include <cstddef>
#include <cstdint>

#include "data/bpe/huge_pages.h"

namespace dlcm::data {

class PairRanks {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  // Of ids 0 to `highest_id` and ranks below `merges`. Throws InputError where these do not fit into 63 bits
  // with two ids, or into 24.
  PairRanks(int32_t highest_id, size_t merges);

  // An id that no pair has.
  int32_t no_id() const { return no_id_; }
  void set(int32_t left, int32_t right, uint32_t rank);

  uint32_t of(int32_t left, int32_t right) const {
    const uint64_t key = key_of(left, right);
    const uint64_t hash = hash_of(key);
    const uint64_t bit = hash >> kFilterShift;
    if ((filter_[bit / 64] >> (bit % 64) & 1) == 0) return kNone;
    size_t slot = hash >> shift_;
    while ((slots_[slot] ^ key) >> rank_bits_ != 0) {
      if (slots_[slot] == kEmpty) return kNone;
      slot = next(slot);
    }
    return static_cast<uint32_t>(slots_[slot] ^ key);
  }

 private:
  static constexpr uint64_t kEmpty = UINT64_MAX;
  static constexpr int kFilterBits = 21;
  static constexpr int kFilterShift = 64 - kFilterBits;

  uint64_t key_of(int32_t left, int32_t right) const {
    return (static_cast<uint64_t>(left) << id_bits_ | static_cast<uint64_t>(right)) << rank_bits_;
  }
  static uint64_t hash_of(uint64_t key) {
    key *= 0x9E3779B97F4A7C15ULL;
    return (key ^ key >> 32) * 0xD6E8FEB86659FD93ULL;
  }
  size_t next(size_t slot) const { return (slot + 1) & (slots_.size() - 1); }

  int id_bits_ = 0;
  int rank_bits_ = 0;
  int shift_ = 0;  // from a hash to a slot
  int32_t no_id_ = 0;
  HugeVector<uint64_t> slots_;   // left id, right id, rank in one number: a line of memory holds eight. Open
                                 // addressing, a power of two
  HugeVector<uint64_t> filter_;  // bits by hash: most pairs have no rank, and their slots stay untouched
};

}  // namespace dlcm::data
