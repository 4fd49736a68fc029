// Byte pair encoding of one piece of text: from its bytes, the pair with the lowest rank is merged, the
// leftmost first, until none is left (Sennrich et al. 2016, as Hugging Face's `tokenizers` does it).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "data/bpe/pair_ranks.h"

namespace dlcm::data {

// The rank of a merge is its place in the list.
struct Merge {
  int32_t left;
  int32_t right;
  int32_t merged;
};

class BytePairs {
 public:
  // Ids are not negative. byte_ids: of each byte, -1 for one that the vocabulary lacks, which is left out of
  // the text. Of two merges of the same pair the later counts. The merged token must be longer than either
  // part. Throws InputError where there are more merges than PairRanks holds: of ids of 22 bits half a
  // million.
  BytePairs(const std::array<int32_t, 256>& byte_ids, std::span<const Merge> merges);

  // Memory that calls leave to later ones; one for each thread.
  struct Work {
    struct Waiting {  // a place whose pair has a rank, in the list of that rank
      uint32_t place;
      uint32_t next;
    };
    struct Open {  // a rank whose places are being merged: places[at] to places[end - 1] are left
      uint32_t rank;
      size_t begin;
      size_t at;
      size_t end;
    };
    std::vector<int32_t> ids;
    std::vector<uint32_t> ranks;           // of the pair that begins at each place
    std::vector<uint32_t> next, previous;  // places that are left
    std::vector<Waiting> waiting;
    std::vector<uint32_t> lists;      // [rank]: first of those that wait
    std::vector<uint32_t> rank_heap;  // ranks with a list
    std::vector<Open> open;
    std::vector<uint32_t> places;
    std::vector<int32_t> window;  // ids of the window that was merged last
    size_t scanned = 0;           // pairs that scans have looked at so far: what the time is in proportion to
  };
  // Appends the ids of the piece, which has less than 2^32 bytes.
  void encode(std::string_view piece, Work& work, std::vector<int32_t>& ids) const;

  // The ways of it, with the same result: in the square of the piece's length, which is kMostShort bytes at
  // most; in n log n; and in linear time, within the processor's cache, by windows that overlap. The last
  // adds nothing and returns false where it would need a window of more than kMostWindow bytes.
  //
  // Of windows: ids are those of a text if and only if each two neighbours are those of their own bytes. For
  // as long as no merge joins bytes of different ones of them, each merges as it does alone, lowest rank
  // first; and the first merge that joins two would, as nothing before it differs, also come where both stand
  // alone. Neighbours within a window are such ids. So it is enough that the last id taken from a window and
  // the first of the next one are too: by having been neighbours in the first, or by merging them alone.
  void encode_short(std::string_view piece, Work& work, std::vector<int32_t>& ids) const;
  void encode_long(std::string_view piece, Work& work, std::vector<int32_t>& ids) const;
  bool encode_windows(std::string_view piece, Work& work, std::vector<int32_t>& ids) const;
  static constexpr size_t kMostShort = 128;
  static constexpr size_t kMostWindow = 4096;

 private:
  int32_t merged_of(uint32_t rank) const {
    return merged_.empty() ? first_merged_ + static_cast<int32_t>(rank) : merged_[rank];
  }
  void start(std::string_view piece, Work& work) const;
  int32_t whole_character(std::string_view piece, size_t at, size_t& bytes) const;
  size_t merge_short(Work& work) const;
  struct Joint {            // between two windows
    size_t at = 0;          // byte where the second begins
    size_t taken = 0;       // ids before it
    int32_t expected = -1;  // first id of the second, as the first window has it
  };
  void merge_window(std::string_view text, Work& work) const;
  void merge_all_of(uint32_t rank, size_t at, Work& work) const;
  bool fits(std::string_view piece, const Joint& joint, int32_t before, Work& work) const;
  static void start_long(Work& work);
  void merge_long(Work& work, std::vector<int32_t>& ids) const;
  static void wait(uint32_t place, Work& work);
  static void open_next_rank(Work& work);
  void merge_at(uint32_t place, uint32_t rank, Work& work) const;

  std::array<int32_t, 256> byte_ids_;
  std::vector<uint32_t> byte_ranks_;  // [left byte * 256 + right byte]
  size_t merges_;
  PairRanks ranks_;
  std::vector<int32_t> merged_;  // [rank]; empty where the ids are in the order of the ranks
  int32_t first_merged_ = 0;     // there, of rank 0
  // See whole_characters.h.
  std::vector<int32_t> character_ids_;
  std::vector<uint32_t> token_bytes_;  // [id]; empty where they are not known of all, or bytes have no id
};

}  // namespace dlcm::data
