#include "data/bpe/whole_characters.h"

#include <algorithm>
#include <unordered_map>

#include "data/bpe/unicode_classes.h"
#include "data/utf8.h"

namespace dlcm::data {
namespace {

constexpr uint32_t kNone = UINT32_MAX;
constexpr uint32_t kCodePointsHeld = 0x10000;

// What is known of a token's bytes.
struct Text {
  uint32_t bytes = 0;    // 0: no merges make the token
  uint32_t content = 0;  // of up to three bytes, the first one highest
  unsigned char first = 0;
  unsigned char last = 0;
};

constexpr uint32_t kLongest = 3;  // bytes of a character that counts here

// By id, of every token that merges can make; empty where the merges are in such an order that finding out
// would take long.
std::vector<Text> texts_of_tokens(const std::array<int32_t, 256>& byte_ids, std::span<const Merge> merges) {
  constexpr int kPasses = 8;
  int32_t highest = *std::max_element(byte_ids.begin(), byte_ids.end());
  for (const Merge& merge : merges) highest = std::max({highest, merge.left, merge.right, merge.merged});
  std::vector<Text> texts(static_cast<size_t>(highest) + 1);
  for (uint32_t byte = 0; byte < 256; ++byte) {
    const auto c = static_cast<unsigned char>(byte);
    texts[static_cast<size_t>(byte_ids[byte])] = {1, byte, c, c};
  }
  bool changed = true;
  for (int pass = 0; changed && pass < kPasses; ++pass) {
    changed = false;
    for (const Merge& merge : merges) {
      const Text& left = texts[static_cast<size_t>(merge.left)];
      const Text& right = texts[static_cast<size_t>(merge.right)];
      Text& merged = texts[static_cast<size_t>(merge.merged)];
      if (left.bytes == 0 || right.bytes == 0 || merged.bytes != 0) continue;
      const uint32_t bytes = left.bytes + right.bytes;
      const uint32_t content = bytes <= kLongest ? left.content << 8 * right.bytes | right.content : 0;
      merged = {bytes, content, left.first, right.last};
      changed = true;
    }
  }
  return changed ? std::vector<Text>() : texts;
}

std::string text_of(uint32_t content, uint32_t bytes) {
  std::string text;
  for (uint32_t i = bytes; i-- > 0;) text += static_cast<char>(content >> 8 * i);
  return text;
}

// The lowest ranks of merges across an end of a character, by what they join on one side: a beginning of a
// character, or an end of one.
class CrossingRanks {
 public:
  CrossingRanks(const std::vector<Text>& texts, std::span<const Merge> merges) {
    for (uint32_t rank = 0; rank < merges.size() && !texts.empty(); ++rank) {
      const Text& left = texts[static_cast<size_t>(merges[rank].left)];
      const Text& right = texts[static_cast<size_t>(merges[rank].right)];
      if (left.bytes == 0 || right.bytes == 0) continue;
      if (left.last < 0x80 || right.first < 0xC0)
        continue;  // no end of a character between the two, or ASCII
      if (right.bytes <= kLongest) by_right_.emplace(key_of(right), rank);  // the first is the lowest
      if (left.bytes <= kLongest) by_left_.emplace(key_of(left), rank);
    }
  }

  // Of the merges across an end of the character, be it whole or not.
  uint32_t lowest(const Text& character) const {
    uint32_t lowest = kNone;
    for (uint32_t bytes = 1; bytes <= character.bytes; ++bytes) {
      const uint32_t beginning = character.content >> 8 * (character.bytes - bytes);
      const uint32_t end = character.content & (0xFFFFFFU >> 8 * (kLongest - bytes));
      lowest = std::min(
          {lowest, rank_in(by_right_, key_of({bytes, beginning})), rank_in(by_left_, key_of({bytes, end}))});
    }
    return lowest;
  }

 private:
  using Ranks = std::unordered_map<uint32_t, uint32_t>;
  static uint32_t key_of(const Text& text) { return text.bytes << 24 | text.content; }
  static uint32_t rank_in(const Ranks& ranks, uint32_t key) {
    const auto found = ranks.find(key);
    return found == ranks.end() ? kNone : found->second;
  }
  Ranks by_right_;
  Ranks by_left_;
};

// Its code point, 0 where the text is not one character of two or three bytes.
uint32_t only_character(std::string_view text) {
  if (text.size() < 2 || text.size() > kLongest || first_invalid_utf8(text) != text.size()) return 0;
  const Character character = character_at(reinterpret_cast<const unsigned char*>(text.data()));
  return character.bytes == text.size() ? character.code_point : 0;
}

}  // namespace

std::vector<int32_t> find_whole_characters(const std::array<int32_t, 256>& byte_ids,
                                           std::span<const Merge> merges,
                                           const std::function<AloneResult(std::string_view)>& merge_alone) {
  if (std::find(byte_ids.begin(), byte_ids.end(), -1) != byte_ids.end()) return {};
  const std::vector<Text> texts = texts_of_tokens(byte_ids, merges);
  const CrossingRanks crossing(texts, merges);
  std::vector<int32_t> ids(kCodePointsHeld, -1);
  bool any = false;
  for (const Text& text : texts) {
    if (text.bytes < 2 || text.bytes > kLongest) continue;
    const std::string bytes = text_of(text.content, text.bytes);
    const uint32_t code_point = only_character(bytes);
    if (code_point == 0) continue;
    const AloneResult alone = merge_alone(bytes);
    if (alone.id < 0 || alone.highest_rank >= crossing.lowest(text)) continue;
    ids[code_point] = alone.id;
    any = true;
  }
  if (!any) ids.clear();
  return ids;
}

}  // namespace dlcm::data
