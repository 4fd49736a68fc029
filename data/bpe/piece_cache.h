// The ids of pieces that were met before, for short pieces of few ids: most of any text. A table of fixed
// size in which a new piece takes the place of an older one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "data/bpe/huge_pages.h"

namespace dlcm::data {

class PieceCache {
 public:
  static constexpr size_t kMaxBytes = 16;
  static constexpr size_t kMaxIds = 3;

  // A piece as a number: with its size, its first and last eight bytes, which overlap or, below eight, are
  // made of fewer, are the piece.
  struct Key {
    uint64_t first = 0;
    uint64_t last = 0;
    uint32_t bytes = 0;
    uint32_t bucket = 0;
  };
  struct Entry {
    uint64_t first;
    uint64_t last;
    std::array<int32_t, kMaxIds> ids;
    uint16_t bytes;  // 0 in an empty entry
    uint16_t count;
  };

  PieceCache() : buckets_(kBuckets) {}

  // Of a piece of 1 to kMaxBytes bytes; starts to bring its bucket into the processor's cache.
  Key key_of(std::string_view piece) const {
    Key key = read(piece);
    const uint64_t mixed = (key.first ^ key.last * 0x9E3779B97F4A7C15ULL ^ key.bytes) * 0xD6E8FEB86659FD93ULL;
    key.bucket = static_cast<uint32_t>(mixed >> (64 - kBucketBits));
    __builtin_prefetch(&buckets_[key.bucket]);
    return key;
  }

  const Entry* find(const Key& key) const {
    for (const Entry& entry : buckets_[key.bucket].entries) {
      if (entry.first == key.first && entry.last == key.last && entry.bytes == key.bytes) return &entry;
    }
    return nullptr;
  }

  // Does nothing where there are more ids than fit.
  void add(const Key& key, std::span<const int32_t> ids) {
    if (ids.size() > kMaxIds) return;
    Bucket& bucket = buckets_[key.bucket];
    bucket.entries[1] = bucket.entries[0];
    Entry& entry = bucket.entries[0];
    entry = {key.first, key.last, {}, static_cast<uint16_t>(key.bytes), static_cast<uint16_t>(ids.size())};
    for (size_t i = 0; i < ids.size(); ++i) entry.ids[i] = ids[i];
  }

 private:
  static constexpr int kBucketBits = 15;
  static constexpr size_t kBuckets = size_t{1} << kBucketBits;
  struct alignas(64) Bucket {
    std::array<Entry, 2> entries{};
  };

  template <class Number>
  static uint64_t load(const char* from) {
    Number number;
    std::memcpy(&number, from, sizeof(number));
    return number;
  }

  static Key read(std::string_view piece) {
    const char* p = piece.data();
    const size_t n = piece.size();
    const auto bytes = static_cast<uint32_t>(n);
    if (n >= 8) return {load<uint64_t>(p), load<uint64_t>(p + n - 8), bytes, 0};
    if (n >= 4) return {load<uint32_t>(p), load<uint32_t>(p + n - 4), bytes, 0};
    return {load<uint8_t>(p) | load<uint8_t>(p + n / 2) << 8, load<uint8_t>(p + n - 1), bytes, 0};
  }

  HugeVector<Bucket> buckets_;  // 2 MiB
};

}  // namespace dlcm::data
