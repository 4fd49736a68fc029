// What a trainer keeps of pairs of tokens: how often each occurs, and which one comes next.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace dlcm::data {

struct TokenPair {
  uint32_t left;
  uint32_t right;
  uint64_t key() const { return uint64_t{left} << 32 | right; }
};

class PairCounts {
 public:
  PairCounts() : slots_(size_t{1} << kFirstBits, Slot{kEmpty, 0}) {}

  // 0 for a pair that is new; the reference lasts until the next call.
  int64_t& operator[](TokenPair pair) {
    if (2 * used_ >= slots_.size()) grow();
    Slot& slot = find(pair.key());
    if (slot.key == kEmpty) {
      slot.key = pair.key();
      ++used_;
    }
    return slot.count;
  }

 private:
  static constexpr int kFirstBits = 12;
  static constexpr uint64_t kEmpty = UINT64_MAX;  // ids are below 2^22
  struct Slot {
    uint64_t key;
    int64_t count;
  };
  Slot& find(uint64_t key) {
    uint64_t hash = key * 0x9E3779B97F4A7C15ULL;
    hash = (hash ^ hash >> 32) * 0xD6E8FEB86659FD93ULL;
    size_t at = hash >> shift_;
    while (slots_[at].key != key && slots_[at].key != kEmpty) at = (at + 1) & (slots_.size() - 1);
    return slots_[at];
  }
  void grow() {
    std::vector<Slot> old(2 * slots_.size(), Slot{kEmpty, 0});
    old.swap(slots_);
    --shift_;
    for (const Slot& slot : old) {
      if (slot.key != kEmpty) find(slot.key) = slot;
    }
  }

  std::vector<Slot> slots_;
  size_t used_ = 0;
  int shift_ = 64 - kFirstBits;
};

// Pairs that wait to be merged, each with the words in which it was seen.
class PairQueue {
 public:
  struct Waiting {
    int64_t count;  // when it was put here
    TokenPair pair;
    std::span<const uint32_t> words;
  };

  // Pairs that occur less than `least` times are left out: no count grows after its pair was put here.
  explicit PairQueue(int64_t least) : least_(least) {}

  bool empty() const { return heap_.empty(); }
  // The most frequent; of these that of the lowest ids.
  Waiting pop() {
    std::pop_heap(heap_.begin(), heap_.end(), comes_later);
    const Waiting top = heap_.back();
    heap_.pop_back();
    return top;
  }
  void push(const Waiting& waiting) {
    if (waiting.count < least_) return;
    heap_.push_back(waiting);
    std::push_heap(heap_.begin(), heap_.end(), comes_later);
  }

  // Memory for so many words, which stays with the queue; the caller fills it.
  std::span<uint32_t> add_words(size_t count) {
    if (block_.size() < count) {
      blocks_.emplace_back(std::max(count, kBlockWords));
      block_ = blocks_.back();
    }
    const std::span<uint32_t> words = block_.first(count);
    block_ = block_.subspan(count);
    return words;
  }

 private:
  static constexpr size_t kBlockWords = size_t{1} << 18;
  static bool comes_later(const Waiting& a, const Waiting& b) {
    return a.count != b.count ? a.count < b.count : a.pair.key() > b.pair.key();
  }

  int64_t least_;
  std::vector<Waiting> heap_;
  std::vector<std::vector<uint32_t>> blocks_;
  std::span<uint32_t> block_;  // what is left of the last one
};

}  // namespace dlcm::data
