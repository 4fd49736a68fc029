#include "data/bpe/byte_pairs.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>
#include <limits>
#include <utility>

#include "data/bpe/unicode_classes.h"
#include "data/bpe/whole_characters.h"
#include "tensor/check.h"

namespace dlcm::data {
namespace {

constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();
constexpr uint64_t kEmpty = std::numeric_limits<uint64_t>::max();
constexpr size_t kShort = 64;   // ids up to which the scan is quicker
constexpr size_t kWindow = 80;  // bytes of the first
constexpr size_t kOverlap = 6;  // ids of a window that are left to the next: merges seldom reach further
constexpr size_t kBlock = 16;
constexpr size_t kFewest = 3;  // ids of a window that does not end the piece
constexpr int kFilterBits = 21;
constexpr int kFilterShift = 64 - kFilterBits;

// to[i] = to[i + 1] for a block: a vector register or a few, where a loop up to the end has a branch for
// each.
template <class Number>
void move_down(Number* to) {
  std::array<Number, kBlock> block;
  std::memcpy(block.data(), to + 1, sizeof(block));
  std::memcpy(to, block.data(), sizeof(block));
}

uint64_t hash_of(uint64_t key) {
  key *= 0x9E3779B97F4A7C15ULL;
  return (key ^ key >> 32) * 0xD6E8FEB86659FD93ULL;
}

int32_t highest_id(const std::array<int32_t, 256>& byte_ids, std::span<const Merge> merges) {
  int32_t highest = std::max(0, *std::max_element(byte_ids.begin(), byte_ids.end()));
  for (const Merge& merge : merges) highest = std::max({highest, merge.left, merge.right, merge.merged});
  return highest;
}

// By id; 0 for a token that no merges make. Empty where a byte has no id, or the merges are in such an order
// that finding out would take long.
std::vector<uint32_t> find_token_bytes(const std::array<int32_t, 256>& byte_ids,
                                       std::span<const Merge> merges) {
  constexpr int kPasses = 8;
  if (*std::min_element(byte_ids.begin(), byte_ids.end()) < 0) return {};
  std::vector<uint32_t> bytes(static_cast<size_t>(highest_id(byte_ids, merges)) + 1, 0);
  for (const int32_t id : byte_ids) bytes[static_cast<size_t>(id)] = 1;
  bool changed = true;
  for (int pass = 0; changed && pass < kPasses; ++pass) {
    changed = false;
    for (const Merge& merge : merges) {
      const uint32_t left = bytes[static_cast<size_t>(merge.left)];
      const uint32_t right = bytes[static_cast<size_t>(merge.right)];
      uint32_t& merged = bytes[static_cast<size_t>(merge.merged)];
      if (left == 0 || right == 0 || merged != 0) continue;
      merged = left + right;
      changed = true;
    }
  }
  return changed ? std::vector<uint32_t>() : bytes;
}

}  // namespace

BytePairs::BytePairs(const std::array<int32_t, 256>& byte_ids, std::span<const Merge> merges)
    : byte_ids_(byte_ids), byte_ranks_(size_t{256} * 256, kNone), filter_((size_t{1} << kFilterBits) / 64) {
  const auto bits = [](int64_t highest) {
    return static_cast<int>(std::bit_width(static_cast<uint64_t>(highest)));
  };
  id_bits_ = bits(highest_id(byte_ids, merges));
  rank_bits_ = bits(static_cast<int64_t>(merges.size()));
  DLCM_CHECK_INPUT(2 * id_bits_ + rank_bits_ < 64, "byte pairs: ", merges.size(), " merges of ids of ",
                   id_bits_, " bits, fewer than ", int64_t{1} << (63 - 2 * id_bits_), " are possible");
  const size_t slots = std::bit_ceil(std::max<size_t>(16, merges.size() * 4));
  slots_.assign(slots, kEmpty);
  shift_ = 64 - std::countr_zero(slots);
  for (const Merge& merge : merges) {
    set_rank(merge.left, merge.right, static_cast<uint32_t>(merged_.size()));
    merged_.push_back(merge.merged);
  }
  for (size_t left = 0; left < 256; ++left) {
    for (size_t right = 0; right < 256; ++right) {
      if (byte_ids_[left] < 0 || byte_ids_[right] < 0) continue;
      byte_ranks_[left * 256 + right] = rank_of(byte_ids_[left], byte_ids_[right]);
    }
  }
  token_bytes_ = find_token_bytes(byte_ids_, merges);
  Work work;
  character_ids_ = find_whole_characters(byte_ids_, merges, [&](std::string_view character) {
    start(character, work);
    const size_t highest = merge_short(work);
    const bool one = work.ids.size() == 1 && highest > 0;
    return AloneResult{one ? work.ids[0] : -1, static_cast<uint32_t>(highest) - (one ? 1 : 0)};
  });
}

uint32_t BytePairs::rank_of(int32_t left, int32_t right) const {
  const uint64_t key = key_of(left, right);
  const uint64_t hash = hash_of(key);
  const uint64_t bit = hash >> kFilterShift;
  if ((filter_[bit / 64] >> (bit % 64) & 1) == 0) return kNone;
  // The numbers of a pair differ from its key in the rank alone, from all others in more.
  size_t slot = hash >> shift_;
  while ((slots_[slot] ^ key) >> rank_bits_ != 0) {
    if (slots_[slot] == kEmpty) return kNone;
    slot = (slot + 1) & (slots_.size() - 1);
  }
  return static_cast<uint32_t>(slots_[slot] ^ key);
}

void BytePairs::set_rank(int32_t left, int32_t right, uint32_t rank) {
  const uint64_t key = key_of(left, right);
  const uint64_t hash = hash_of(key);
  const uint64_t bit = hash >> kFilterShift;
  filter_[bit / 64] |= uint64_t{1} << (bit % 64);
  size_t slot = hash >> shift_;
  while ((slots_[slot] ^ key) >> rank_bits_ != 0 && slots_[slot] != kEmpty) {
    slot = (slot + 1) & (slots_.size() - 1);
  }
  slots_[slot] = key | rank;
}

// The token of a whole character at `at` and its size, -1 where its bytes are to be merged one by one.
int32_t BytePairs::whole_character(std::string_view piece, size_t at, size_t& bytes) const {
  const auto* p = reinterpret_cast<const unsigned char*>(piece.data()) + at;
  const size_t left = piece.size() - at;
  bytes = *p < 0xC0 ? 1 : *p < 0xE0 ? 2 : *p < 0xF0 ? 3 : 4;
  if (bytes == 1 || bytes == 4 || bytes > left) return -1;
  if ((at > 0 && p[-1] < 0x80) || (bytes < left && p[bytes] < 0x80)) return -1;
  return character_ids_[character_at(p).code_point];
}

// The ids that merging begins with, bytes or whole characters, and the rank of each with the next.
void BytePairs::start(std::string_view piece, Work& work) const {
  work.ids.clear();
  work.ranks.clear();
  int previous_byte = -1;  // of the last id, where it is one
  for (size_t at = 0; at < piece.size();) {
    const auto byte = static_cast<unsigned char>(piece[at]);
    size_t bytes = 1;
    int32_t id = -1;
    if (byte >= 0xC0 && !character_ids_.empty()) id = whole_character(piece, at, bytes);
    const bool whole = id >= 0;
    at += whole ? bytes : 1;
    if (!whole) id = byte_ids_[byte];
    if (id < 0) continue;
    if (!work.ids.empty()) {
      const bool two_bytes = !whole && previous_byte >= 0;
      work.ranks.push_back(two_bytes ? byte_ranks_[static_cast<size_t>(previous_byte) * 256 + byte]
                                     : rank_of(work.ids.back(), id));
    }
    work.ids.push_back(id);
    previous_byte = whole ? -1 : byte;
  }
  if (!work.ids.empty()) work.ranks.push_back(kNone);
}

void BytePairs::encode(std::string_view piece, Work& work, std::vector<int32_t>& ids) const {
  if (piece.size() > 2 * kWindow && encode_windows(piece, work, ids)) return;
  start(piece, work);
  if (work.ids.size() > kShort) return merge_long(work, ids);
  merge_short(work);
  ids.insert(ids.end(), work.ids.begin(), work.ids.end());
}

void BytePairs::encode_short(std::string_view piece, Work& work, std::vector<int32_t>& ids) const {
  start(piece, work);
  merge_short(work);
  ids.insert(ids.end(), work.ids.begin(), work.ids.end());
}

void BytePairs::encode_long(std::string_view piece, Work& work, std::vector<int32_t>& ids) const {
  start(piece, work);
  merge_long(work, ids);
}

// Merges the places of the rank from `at`, its first, on; up to the first that makes a pair of lower rank.
void BytePairs::merge_all_of(uint32_t rank, size_t at, Work& work) const {
  std::vector<int32_t>& ids = work.ids;
  std::vector<uint32_t>& ranks = work.ranks;
  bool goes_on = true;
  size_t out = at;
  for (size_t i = at; i < ids.size(); ++out) {
    if (!goes_on || ranks[i] != rank) {
      ids[out] = ids[i];
      ranks[out] = ranks[i++];
      continue;
    }
    i += 2;
    ids[out] = merged_[rank];
    ranks[out] = i < ids.size() ? rank_of(ids[out], ids[i]) : kNone;
    if (out > 0) ranks[out - 1] = rank_of(ids[out - 1], ids[out]);
    goes_on = ranks[out] > rank && (out == 0 || ranks[out - 1] > rank);
  }
  work.scanned += ids.size() - at;
  ids.resize(out);
  ranks.resize(out);
}

// Leaves the ids of the text in work.ids. What repeats itself is merged everywhere at once: its tokens are
// long, and so are the windows.
void BytePairs::merge_window(std::string_view text, Work& work) const {
  constexpr std::ptrdiff_t kRepeats = 4;
  start(text, work);
  while (work.ids.size() > kShort) {
    work.scanned += 2 * work.ids.size();
    const auto least = std::min_element(work.ranks.begin(), work.ranks.end());
    const uint32_t rank = *least;
    if (rank == kNone || std::count(least, work.ranks.end(), rank) < kRepeats) break;
    merge_all_of(rank, static_cast<size_t>(least - work.ranks.begin()), work);
  }
  merge_short(work);
}

// Whether the ids on both sides of the joint are those of their own bytes.
bool BytePairs::fits(std::string_view piece, const Joint& joint, int32_t before, Work& work) const {
  const int32_t behind = work.window[0];
  if (behind == joint.expected) return true;
  const size_t begin = joint.at - token_bytes_[static_cast<size_t>(before)];
  const size_t end = joint.at + token_bytes_[static_cast<size_t>(behind)];
  merge_window(piece.substr(begin, end - begin), work);
  return work.ids.size() == 2 && work.ids[0] == before && work.ids[1] == behind;
}

bool BytePairs::encode_windows(std::string_view piece, Work& work, std::vector<int32_t>& ids) const {
  if (token_bytes_.empty()) return false;
  const size_t first = ids.size();
  Joint joint{0, first, -1};
  Joint previous = joint;
  size_t window = kWindow;
  while (window <= kMostWindow) {
    merge_window(piece.substr(joint.at, window), work);
    work.window.swap(work.ids);
    if (joint.at > 0 && !fits(piece, joint, ids.back(), work)) {  // from the joint before, and further
      ids.resize(previous.taken);
      joint = previous;
      window *= 2;
      continue;
    }
    if (piece.size() - joint.at <= window) {
      ids.insert(ids.end(), work.window.begin(), work.window.end());
      return true;
    }
    const size_t found = work.window.size();
    if (found < kFewest || (found < 2 * kOverlap && window < 4 * kWindow)) {
      window *= 2;
      continue;
    }
    const size_t taken = found - std::min(kOverlap, found / kFewest);
    previous = joint;
    for (size_t i = 0; i < taken; ++i) joint.at += token_bytes_[static_cast<size_t>(work.window[i])];
    ids.insert(ids.end(), work.window.begin(), work.window.begin() + static_cast<std::ptrdiff_t>(taken));
    joint = {joint.at, ids.size(), work.window[taken]};
    if (found > 4 * kOverlap) window = std::max(kWindow, window / 2);
  }
  ids.resize(first);
  return false;
}

// Merges work.ids; the highest rank of a merge, and one, 0 where there was none.
size_t BytePairs::merge_short(Work& work) const {
  size_t count = work.ids.size();
  work.ids.resize(count + kBlock);
  work.ranks.resize(count + kBlock, kNone);
  int32_t* const symbols = work.ids.data();
  uint32_t* const ranks = work.ranks.data();
  size_t highest = 0;
  while (count > 1) {
    work.scanned += count;
    const auto at = static_cast<size_t>(std::min_element(ranks, ranks + count - 1) - ranks);
    const uint32_t rank = ranks[at];
    if (rank == kNone) break;
    highest = std::max<size_t>(highest, size_t{rank} + 1);
    symbols[at] = merged_[rank];
    --count;
    for (size_t i = at + 1; i < count; i += kBlock) {
      move_down(symbols + i);
      move_down(ranks + i);
    }
    ranks[at] = at + 1 < count ? rank_of(symbols[at], symbols[at + 1]) : kNone;
    if (at > 0) ranks[at - 1] = rank_of(symbols[at - 1], symbols[at]);
  }
  work.ids.resize(count);
  work.ranks.resize(count);
  return highest;
}

// Places wait in a list for each rank, and a heap holds the ranks that have a list. As a merged token is
// longer than its parts, no merge makes a pair of its own rank: the places of a rank are sorted once and
// merged from the left. Where a merge among them makes a pair of lower rank (none does in a vocabulary that
// was trained), that one comes first.
void BytePairs::merge_long(Work& work, std::vector<int32_t>& ids) const {
  work.lists.resize(merged_.size(), kNone);
  start_long(work);
  while (!work.rank_heap.empty() || !work.open.empty()) {
    if (work.open.empty() || (!work.rank_heap.empty() && work.rank_heap.front() <= work.open.back().rank)) {
      open_next_rank(work);
      continue;
    }
    Work::Open& open = work.open.back();
    if (open.at < open.end) {
      merge_at(work.places[open.at++], open.rank, work);
    } else {
      work.places.resize(open.begin);
      work.open.pop_back();
    }
  }
  for (uint32_t place = work.ids.empty() ? kNone : 0; place != kNone; place = work.next[place]) {
    ids.push_back(work.ids[place]);
  }
}

void BytePairs::start_long(Work& work) {
  DLCM_CHECK(work.ids.size() < kNone / 4, "byte pairs: a piece of ", work.ids.size(), " bytes, fewer than ",
             kNone / 4, " are possible");
  const auto count = static_cast<uint32_t>(work.ids.size());
  work.next.resize(count);
  work.previous.resize(count);
  work.waiting.clear();
  work.rank_heap.clear();
  work.open.clear();
  work.places.clear();
  for (uint32_t place = 0; place < count; ++place) {
    work.next[place] = place + 1 < count ? place + 1 : kNone;
    work.previous[place] = place > 0 ? place - 1 : kNone;
    wait(place, work);
  }
}

// Puts the place into the list of its rank. Entries of other ranks, of pairs that are no more, stay where
// they are: merge_at passes over them.
void BytePairs::wait(uint32_t place, Work& work) {
  const uint32_t rank = work.ranks[place];
  if (rank == kNone) return;
  if (work.lists[rank] == kNone) {
    work.rank_heap.push_back(rank);
    std::push_heap(work.rank_heap.begin(), work.rank_heap.end(), std::greater<>());
  }
  work.waiting.push_back({place, work.lists[rank]});
  work.lists[rank] = static_cast<uint32_t>(work.waiting.size() - 1);
}

void BytePairs::open_next_rank(Work& work) {
  std::pop_heap(work.rank_heap.begin(), work.rank_heap.end(), std::greater<>());
  const uint32_t rank = work.rank_heap.back();
  work.rank_heap.pop_back();
  if (work.open.empty() || work.open.back().rank != rank) {
    work.open.push_back({rank, work.places.size(), work.places.size(), work.places.size()});
  }
  Work::Open& open = work.open.back();
  for (uint32_t entry = std::exchange(work.lists[rank], kNone); entry != kNone;
       entry = work.waiting[entry].next) {
    work.places.push_back(work.waiting[entry].place);
  }
  open.end = work.places.size();
  // Lists are from the last to the first, and often sorted so.
  const auto from = work.places.begin() + static_cast<std::ptrdiff_t>(open.at);
  std::reverse(from, work.places.end());
  if (!std::is_sorted(from, work.places.end())) std::sort(from, work.places.end());
}

void BytePairs::merge_at(uint32_t place, uint32_t rank, Work& work) const {
  if (work.ranks[place] != rank) return;
  const uint32_t taken = work.next[place];
  const uint32_t after = work.next[taken];
  const uint32_t before = work.previous[place];
  work.ids[place] = merged_[rank];
  work.ranks[taken] = kNone;
  work.next[place] = after;
  work.ranks[place] = kNone;
  if (after != kNone) {
    work.previous[after] = place;
    work.ranks[place] = rank_of(work.ids[place], work.ids[after]);
    wait(place, work);
  }
  if (before != kNone) {
    work.ranks[before] = rank_of(work.ids[before], work.ids[place]);
    wait(before, work);
  }
}

}  // namespace dlcm::data
