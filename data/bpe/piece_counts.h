// How often each piece of text occurs, which is all that a byte pair encoding is trained on. Pieces are those
// of DeepSeek-V3's pre-tokenizer (scanners.h). Memory grows with the distinct pieces, not with the text.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dlcm::data {

// A table of pieces; for one thread at a time.
class PieceCounts {
 public:
  // The pieces of a text. A byte that belongs to no well-formed character is no piece, and what lies before
  // and behind it are texts of their own (json_tokenizer.h).
  void add_text(std::string_view text);
  void add(std::string_view piece, uint64_t count);  // not empty, less than 2^32 bytes
  // Adds what all the others have, with all threads, and empties them.
  void take_all(std::span<const std::unique_ptr<PieceCounts>> others);

  size_t distinct() const;
  uint64_t pieces() const;  // occurrences of all
  uint64_t bytes() const;   // of all occurrences
  // In an order that depends on the pieces and on how they came; the view lasts for the call.
  void for_each(const std::function<void(std::string_view piece, uint64_t count)>& body) const;

 private:
  static constexpr size_t kShortBytes = 16;
  // Short pieces are their own key, zeros behind them; of longer ones it is hash and place in long_bytes.
  struct Slot {
    std::array<uint64_t, 2> key{};
    uint64_t count = 0;  // 0: empty
    uint32_t bytes = 0;
  };
  struct Key {
    std::array<uint64_t, 2> key;
    uint64_t hash;
  };
  // Open addressing. The hash's upper bits choose the table, so that tables of several threads can be joined
  // side by side, its lower bits the slot.
  struct Table {
    std::vector<Slot> slots;
    size_t used = 0;
    std::string long_bytes;
  };
  static constexpr int kTableBits = 4;

  static Key key_of(std::string_view piece);
  static uint64_t hash_of(const Slot& slot);
  static std::string_view piece_of(const Table& table, const Slot& slot);
  static Slot& find(Table& table, const Key& key, std::string_view piece);
  static void grow(Table& table);
  static void add(Table& table, const Key& key, std::string_view piece, uint64_t count);
  Table& table_of(const Key& key) { return tables_[key.hash >> (64 - kTableBits)]; }
  void add_batch(std::span<const std::string_view> pieces);

  std::array<Table, size_t{1} << kTableBits> tables_;
};

// Counts with all threads.
class PieceCounter {
 public:
  // The pieces of these documents; a long document is cut where pieces end and shared among the threads.
  void add(std::span<const std::string> documents);
  // All counts so far; the counter is empty then.
  PieceCounts finish();

 private:
  std::unique_ptr<PieceCounts> take_idle();
  void give_back(std::unique_ptr<PieceCounts> counts);

  std::mutex mutex_;
  std::vector<std::unique_ptr<PieceCounts>> idle_;  // as many as there were threads at the same time
};

// The first place from `from` on where the text can be cut so that its pieces are those of both parts: behind
// a line end, before what is no white space. The end of the text where there is none.
size_t next_cut(std::string_view text, size_t from);

}  // namespace dlcm::data
