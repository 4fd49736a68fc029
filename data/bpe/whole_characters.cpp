#include "data/bpe/whole_characters.h"

#include <algorithm>
#include <unordered_map>

#include "data/bpe/unicode_classes.h"
#include "data/utf8.h"

namespace dlcm::data {
namespace {

constexpr uint32_t kNone = UINT32_MAX;
constexpr uint32_t kCodePointsHeld = 0x10000;

using Texts = std::unordered_map<int32_t, std::string>;

// The bytes of every token that merges can make; empty where the merges are in such an order that finding out
// would take long.
Texts texts_of_tokens(const std::array<int32_t, 256>& byte_ids, std::span<const Merge> merges) {
  constexpr int kPasses = 8;
  Texts texts;
  for (size_t byte = 0; byte < 256; ++byte) texts[byte_ids[byte]] = std::string(1, static_cast<char>(byte));
  bool changed = true;
  for (int pass = 0; changed && pass < kPasses; ++pass) {
    changed = false;
    for (const Merge& merge : merges) {
      const auto left = texts.find(merge.left);
      const auto right = texts.find(merge.right);
      if (left == texts.end() || right == texts.end()) continue;
      changed = texts.emplace(merge.merged, left->second + right->second).second || changed;
    }
  }
  return changed ? Texts() : texts;
}

class CrossingRanks {
 public:
  CrossingRanks(const Texts& texts, std::span<const Merge> merges) {
    for (uint32_t rank = 0; rank < merges.size(); ++rank) {
      const auto left = texts.find(merges[rank].left);
      const auto right = texts.find(merges[rank].right);
      if (left == texts.end() || right == texts.end()) continue;
      const auto last = static_cast<unsigned char>(left->second.back());
      const auto first = static_cast<unsigned char>(right->second.front());
      if (last < 0x80 || first < 0xC0) continue;  // no end of a character between the two, or ASCII
      by_right_.emplace(right->second, rank);     // the first is the lowest
      by_left_.emplace(left->second, rank);
    }
  }

  // Of the merges across an end of the character, be it whole or not.
  uint32_t lowest(std::string_view character) const {
    uint32_t lowest = kNone;
    for (size_t bytes = 1; bytes <= character.size(); ++bytes) {
      lowest = std::min({lowest, rank_in(by_right_, character.substr(0, bytes)),
                         rank_in(by_left_, character.substr(character.size() - bytes))});
    }
    return lowest;
  }

 private:
  using Ranks = std::unordered_map<std::string, uint32_t>;
  static uint32_t rank_in(const Ranks& ranks, std::string_view text) {
    const auto found = ranks.find(std::string(text));
    return found == ranks.end() ? kNone : found->second;
  }
  Ranks by_right_;
  Ranks by_left_;
};

// Its code point, 0 where the text is not one character of two or three bytes.
uint32_t only_character(std::string_view text) {
  if (text.size() < 2 || text.size() > 3 || first_invalid_utf8(text) != text.size()) return 0;
  const Character character = character_at(reinterpret_cast<const unsigned char*>(text.data()));
  return character.bytes == text.size() ? character.code_point : 0;
}

}  // namespace

std::vector<int32_t> find_whole_characters(const std::array<int32_t, 256>& byte_ids,
                                           std::span<const Merge> merges,
                                           const std::function<AloneResult(std::string_view)>& merge_alone) {
  if (std::find(byte_ids.begin(), byte_ids.end(), -1) != byte_ids.end()) return {};
  const Texts texts = texts_of_tokens(byte_ids, merges);
  const CrossingRanks crossing(texts, merges);
  std::vector<int32_t> ids(kCodePointsHeld, -1);
  bool any = false;
  for (const auto& [id, text] : texts) {
    const uint32_t code_point = only_character(text);
    if (code_point == 0) continue;
    const AloneResult alone = merge_alone(text);
    if (alone.id < 0 || alone.highest_rank >= crossing.lowest(text)) continue;
    ids[code_point] = alone.id;
    any = true;
  }
  if (!any) ids.clear();
  return ids;
}

}  // namespace dlcm::data
