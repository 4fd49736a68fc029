#include "data/bpe/byte_pairs.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>
#include <utility>

#include "data/bpe/unicode_classes.h"
#include "data/bpe/whole_characters.h"
#include "tensor/check.h"

namespace dlcm::data {
namespace {

constexpr uint32_t kNone = PairRanks::kNone;
constexpr size_t kWindow = 120;  // bytes of the first
constexpr size_t kOverlap = 6;   // ids of a window that are left to the next: merges seldom reach further
constexpr size_t kFewest = 3;    // ids of a window that does not end the piece

constexpr auto kPlaces = [] {
  std::array<uint8_t, BytePairs::kMostShort + 3> places{};
  for (size_t i = 0; i < places.size(); ++i) places[i] = static_cast<uint8_t>(i);
  return places;
}();

// In vectors the loads would wait for the numbers that were stored one by one just before.
#if defined(__GNUC__) && !defined(__clang__)
__attribute__((optimize("no-tree-vectorize")))
#endif
uint32_t
least_of(const uint32_t* keys, size_t count) {
  uint32_t a = keys[0], b = keys[1], c = keys[2], d = keys[3];
  for (size_t i = 4; i < count; i += 4) {
    a = std::min(a, keys[i]);
    b = std::min(b, keys[i + 1]);
    c = std::min(c, keys[i + 2]);
    d = std::min(d, keys[i + 3]);
  }
  return std::min(std::min(a, b), std::min(c, d));
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
    : byte_ids_(byte_ids),
      byte_ranks_(size_t{256} * 256, kNone),
      merges_(merges.size()),
      ranks_(highest_id(byte_ids, merges), merges.size()) {
  bool in_order = true;
  for (const Merge& merge : merges) {
    ranks_.set(merge.left, merge.right, static_cast<uint32_t>(merged_.size()));
    in_order = in_order && merge.merged - merges[0].merged == static_cast<int32_t>(merged_.size());
    merged_.push_back(merge.merged);
  }
  if (in_order && !merges.empty()) {
    first_merged_ = merged_[0];
    merged_.clear();
  }
  for (size_t left = 0; left < 256; ++left) {
    for (size_t right = 0; right < 256; ++right) {
      if (byte_ids_[left] < 0 || byte_ids_[right] < 0) continue;
      byte_ranks_[left * 256 + right] = ranks_.of(byte_ids_[left], byte_ids_[right]);
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
  work.ids.resize(piece.size());
  work.ranks.resize(piece.size());
  int32_t* const ids = work.ids.data();
  uint32_t* const ranks = work.ranks.data();
  size_t count = 0;
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
    if (count > 0) {
      const bool two_bytes = !whole && previous_byte >= 0;
      ranks[count - 1] = two_bytes ? byte_ranks_[static_cast<size_t>(previous_byte) * 256 + byte]
                                   : ranks_.of(ids[count - 1], id);
    }
    ids[count++] = id;
    previous_byte = whole ? -1 : byte;
  }
  if (count > 0) ranks[count - 1] = kNone;
  work.ids.resize(count);
  work.ranks.resize(count);
}

void BytePairs::encode(std::string_view piece, Work& work, std::vector<int32_t>& ids) const {
  if (piece.size() > 2 * kWindow && encode_windows(piece, work, ids)) return;
  start(piece, work);
  if (work.ids.size() > kMostShort) return merge_long(work, ids);
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
    ids[out] = merged_of(rank);
    ranks[out] = i < ids.size() ? ranks_.of(ids[out], ids[i]) : kNone;
    if (out > 0) ranks[out - 1] = ranks_.of(ids[out - 1], ids[out]);
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
  constexpr size_t kFewIds = 32;  // are merged one by one as quickly
  start(text, work);
  while (work.ids.size() > kFewIds) {
    work.scanned += 2 * work.ids.size();
    const auto least = std::min_element(work.ranks.begin(), work.ranks.end());
    const uint32_t rank = *least;
    if (rank == kNone || std::count(least, work.ranks.end(), rank) < kRepeats) break;
    merge_all_of(rank, static_cast<size_t>(least - work.ranks.begin()), work);
  }
  if (work.ids.size() <= kMostShort) {
    merge_short(work);
    return;
  }
  work.window.clear();
  merge_long(work, work.window);
  work.ids.swap(work.window);
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

// Merges work.ids, kMostShort at most; the highest rank of a merge, and one, 0 where there was none. A place
// stays where it is, and a number that holds the rank of its pair above it: the least of all is the next
// merge, the leftmost of several. At both ends is an id without pairs.
size_t BytePairs::merge_short(Work& work) const {
  constexpr uint32_t kPlaceBits = 8;
  constexpr uint32_t kNoRank = kNone >> kPlaceBits;
  constexpr size_t kBlock = 4;
  static_assert(kMostShort + 2 <= 1U << kPlaceBits);
  const auto count = static_cast<uint32_t>(work.ids.size());
  std::array<int32_t, kMostShort + 2> ids;
  std::array<uint32_t, kMostShort + kBlock> keys;  // [place]: the rank of it and the next, the place
  std::array<uint8_t, kMostShort + 2> next;        // [place]
  std::array<uint8_t, kMostShort + 2> previous;
  const size_t padded = (count + kBlock) / kBlock * kBlock;
  ids[0] = ids[count + 1] = ranks_.no_id();
  keys[0] = kNone;
  for (uint32_t i = 0; i < count; ++i) ids[i + 1] = work.ids[i];
  for (uint32_t i = 0; i < count; ++i) keys[i + 1] = work.ranks[i] << kPlaceBits | (i + 1);
  for (uint32_t i = 0; i < count; i += 16) {
    std::memcpy(next.data() + 1 + i, kPlaces.data() + 2 + i, 16);
    std::memcpy(previous.data() + 1 + i, kPlaces.data() + i, 16);
  }
  std::fill(keys.begin() + count + 1, keys.begin() + static_cast<std::ptrdiff_t>(padded), kNone);
  size_t highest = 0;
  while (true) {
    work.scanned += count;
    const uint32_t least = least_of(keys.data(), padded);
    const uint32_t rank = least >> kPlaceBits;
    if (rank == kNoRank) break;
    highest = std::max<size_t>(highest, size_t{rank} + 1);
    const uint32_t place = least & ((1U << kPlaceBits) - 1);
    const uint32_t taken = next[place];
    const uint32_t behind = next[taken];
    const uint32_t before = previous[place];
    ids[place] = merged_of(rank);
    keys[taken] = kNone;
    next[place] = static_cast<uint8_t>(behind);
    previous[behind] = static_cast<uint8_t>(place);
    keys[place] = ranks_.of(ids[place], ids[behind]) << kPlaceBits | place;
    keys[before] = ranks_.of(ids[before], ids[place]) << kPlaceBits | before;
  }
  size_t left = 0;
  for (uint32_t place = 1; place <= count; place = next[place]) work.ids[left++] = ids[place];
  work.ids.resize(left);
  work.ranks.resize(left);
  return highest;
}

// Places wait in a list for each rank, and a heap holds the ranks that have a list. As a merged token is
// longer than its parts, no merge makes a pair of its own rank: the places of a rank are sorted once and
// merged from the left. Where a merge among them makes a pair of lower rank (none does in a vocabulary that
// was trained), that one comes first.
void BytePairs::merge_long(Work& work, std::vector<int32_t>& ids) const {
  work.lists.resize(merges_, kNone);
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
  work.ids[place] = merged_of(rank);
  work.ranks[taken] = kNone;
  work.next[place] = after;
  work.ranks[place] = kNone;
  if (after != kNone) {
    work.previous[after] = place;
    work.ranks[place] = ranks_.of(work.ids[place], work.ids[after]);
    wait(place, work);
  }
  if (before != kNone) {
    work.ranks[before] = ranks_.of(work.ids[before], work.ids[place]);
    wait(before, work);
  }
}

}  // namespace dlcm::data
