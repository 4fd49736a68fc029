#include "data/bpe/piece_counts.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "data/bpe/piece_batch.h"
#include "data/bpe/scanners.h"
#include "data/bpe/unicode_classes.h"
#include "data/utf8.h"
#include "tensor/check.h"
#include "tensor/parallel.h"

namespace dlcm::data {
namespace {

constexpr size_t kFirstSlots = 256;
constexpr size_t kRangeBytes = size_t{256} << 10;  // text that is worth a thread

uint64_t mixed(uint64_t x) {
  x = (x ^ x >> 32) * 0xD6E8FEB86659FD93ULL;
  x = (x ^ x >> 32) * 0xD6E8FEB86659FD93ULL;
  return x ^ x >> 32;
}

uint64_t mixed(const std::array<uint64_t, 2>& key, uint64_t bytes) {
  return mixed(key[0] + mixed(key[1] ^ bytes * 0x9E3779B97F4A7C15ULL));
}

uint64_t hash_of_bytes(std::string_view bytes) {
  uint64_t hash = bytes.size();
  while (!bytes.empty()) {
    uint64_t word = 0;
    const size_t taken = std::min(bytes.size(), sizeof(word));
    std::memcpy(&word, bytes.data(), taken);
    hash = mixed(hash ^ word) + word;
    bytes.remove_prefix(taken);
  }
  return mixed(hash);
}

// Whether a character that is no white space begins here.
bool begins_no_space(std::string_view text) {
  const auto* at = reinterpret_cast<const unsigned char*>(text.data());
  const size_t bytes = *at < 0x80 ? 1 : *at < 0xE0 ? 2 : *at < 0xF0 ? 3 : 4;
  if (bytes > text.size() || first_invalid_utf8(text.substr(0, bytes)) != bytes) return false;
  return (unicode_classes()[character_at(at).code_point] & kSpace) == 0;
}

// Texts that are counted by one thread.
using Range = std::vector<std::string_view>;

std::vector<Range> ranges_of(std::span<const std::string> documents) {
  std::vector<Range> ranges;
  size_t room = 0;  // left in the last range
  for (const std::string_view document : documents) {
    for (size_t begin = 0; begin < document.size();) {
      const size_t end =
          document.size() - begin <= kRangeBytes ? document.size() : next_cut(document, begin + kRangeBytes);
      if (room == 0) {
        ranges.emplace_back();
        room = kRangeBytes;
      }
      ranges.back().push_back(document.substr(begin, end - begin));
      room -= std::min(room, end - begin);
      begin = end;
    }
  }
  return ranges;
}

}  // namespace

PieceCounts::Key PieceCounts::key_of(std::string_view piece) {
  if (piece.size() > kShortBytes) {
    const uint64_t hash = hash_of_bytes(piece);
    return {{hash, 0}, hash};
  }
  Key key{};
  std::memcpy(key.key.data(), piece.data(), piece.size());
  key.hash = mixed(key.key, piece.size());
  return key;
}

uint64_t PieceCounts::hash_of(const Slot& slot) {
  return slot.bytes > kShortBytes ? slot.key[0] : mixed(slot.key, slot.bytes);
}

std::string_view PieceCounts::piece_of(const Table& table, const Slot& slot) {
  if (slot.bytes > kShortBytes) return std::string_view(table.long_bytes).substr(slot.key[1], slot.bytes);
  return {reinterpret_cast<const char*>(slot.key.data()), slot.bytes};
}

// The slot of the piece, or the empty one where it belongs.
PieceCounts::Slot& PieceCounts::find(Table& table, const Key& key, std::string_view piece) {
  const size_t mask = table.slots.size() - 1;
  for (size_t at = key.hash & mask;; at = (at + 1) & mask) {
    Slot& slot = table.slots[at];
    if (slot.count == 0) return slot;
    if (slot.key[0] != key.key[0] || slot.bytes != piece.size()) continue;
    if (piece.size() > kShortBytes ? piece_of(table, slot) == piece : slot.key[1] == key.key[1]) return slot;
  }
}

void PieceCounts::grow(Table& table) {
  const std::vector<Slot> old =
      std::exchange(table.slots, std::vector<Slot>(std::max(kFirstSlots, 2 * table.slots.size())));
  const size_t mask = table.slots.size() - 1;
  for (const Slot& slot : old) {
    if (slot.count == 0) continue;
    size_t at = hash_of(slot) & mask;
    while (table.slots[at].count != 0) at = (at + 1) & mask;
    table.slots[at] = slot;
  }
}

void PieceCounts::add(Table& table, const Key& key, std::string_view piece, uint64_t count) {
  if (2 * table.used >= table.slots.size()) grow(table);
  Slot& slot = find(table, key, piece);
  if (slot.count == 0) {
    DLCM_CHECK(piece.size() <= UINT32_MAX, "counting pieces: one of ", piece.size(),
               " bytes, fewer than 2^32 are possible");
    ++table.used;
    slot.key = key.key;
    slot.bytes = static_cast<uint32_t>(piece.size());
    if (piece.size() > kShortBytes) {
      slot.key[1] = table.long_bytes.size();
      table.long_bytes += piece;
    }
  }
  slot.count += count;
}

void PieceCounts::add(std::string_view piece, uint64_t count) {
  if (count == 0) return;
  const Key key = key_of(piece);
  add(table_of(key), key, piece, count);
}

void PieceCounts::add_batch(std::span<const std::string_view> pieces) {
  std::array<Key, PieceBatch::kPieces> keys;
  for (size_t i = 0; i < pieces.size(); ++i) {
    keys[i] = key_of(pieces[i]);
    const Table& table = table_of(keys[i]);
    if (!table.slots.empty()) __builtin_prefetch(&table.slots[keys[i].hash & (table.slots.size() - 1)]);
  }
  for (size_t i = 0; i < pieces.size(); ++i) add(table_of(keys[i]), keys[i], pieces[i], 1);
}

void PieceCounts::add_text(std::string_view text) {
  const PieceSink sink = [this](std::span<const std::string_view> pieces) { add_batch(pieces); };
  while (!text.empty()) {
    const size_t valid = first_invalid_utf8(text);
    PieceBatch batch(sink);
    scan_deepseek(text.substr(0, valid), batch);
    batch.flush();
    text.remove_prefix(std::min(valid + 1, text.size()));
  }
}

void PieceCounts::take_all(std::span<const std::unique_ptr<PieceCounts>> others) {
  parallel_for(static_cast<int64_t>(tables_.size()), 1, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      for (const auto& other : others) {
        Table& from = other->tables_[i];
        if (tables_[i].used == 0) std::swap(tables_[i], from);
        for (const Slot& slot : from.slots) {
          if (slot.count == 0) continue;
          const uint64_t hash = hash_of(slot);
          add(tables_[i], {slot.key, hash}, piece_of(from, slot), slot.count);
        }
        from = {};
      }
    }
  });
}

size_t PieceCounts::distinct() const {
  size_t sum = 0;
  for (const Table& table : tables_) sum += table.used;
  return sum;
}

uint64_t PieceCounts::pieces() const {
  uint64_t sum = 0;
  for (const Table& table : tables_) {
    for (const Slot& slot : table.slots) sum += slot.count;
  }
  return sum;
}

uint64_t PieceCounts::bytes() const {
  uint64_t sum = 0;
  for (const Table& table : tables_) {
    for (const Slot& slot : table.slots) sum += slot.count * slot.bytes;
  }
  return sum;
}

void PieceCounts::for_each(const std::function<void(std::string_view, uint64_t)>& body) const {
  for (const Table& table : tables_) {
    for (const Slot& slot : table.slots) {
      if (slot.count != 0) body(piece_of(table, slot), slot.count);
    }
  }
}

// White space with a line end is a piece up to its last line end, and signs take the line ends behind them
// along: nothing goes on behind both. What stands before the cut sees no character behind it either.
size_t next_cut(std::string_view text, size_t from) {
  for (size_t at = std::max<size_t>(from, 1); at < text.size(); ++at) {
    const bool behind_line_end = text[at - 1] == '\n' || text[at - 1] == '\r';
    if (behind_line_end && begins_no_space(text.substr(at))) return at;
  }
  return text.size();
}

void PieceCounter::add(std::span<const std::string> documents) {
  const std::vector<Range> ranges = ranges_of(documents);
  parallel_for(static_cast<int64_t>(ranges.size()), 1, [&](int64_t begin, int64_t end) {
    std::unique_ptr<PieceCounts> counts = take_idle();
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      for (const std::string_view text : ranges[i]) counts->add_text(text);
    }
    give_back(std::move(counts));
  });
}

std::unique_ptr<PieceCounts> PieceCounter::take_idle() {
  const std::lock_guard lock(mutex_);
  if (idle_.empty()) return std::make_unique<PieceCounts>();
  std::unique_ptr<PieceCounts> counts = std::move(idle_.back());
  idle_.pop_back();
  return counts;
}

void PieceCounter::give_back(std::unique_ptr<PieceCounts> counts) {
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(counts));
}

PieceCounts PieceCounter::finish() {
  PieceCounts all;
  all.take_all(idle_);
  idle_.clear();
  return all;
}

}  // namespace dlcm::data
