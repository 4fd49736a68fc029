// What a character is to the expressions of pre-tokenizers, one byte of flags each.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dlcm::data {

enum CharacterClass : uint8_t {
  kLetter = 1,       // \p{L}
  kMark = 2,         // \p{M}
  kNumber = 4,       // \p{N}
  kPunctuation = 8,  // \p{P}
  kSymbol = 16,      // \p{S}
  kSpace = 32,       // \s, Unicode's White_Space
  kIdeograph = 64,   // [一-龥\u3040-\u309f\u30a0-\u30ff], the second expression of DeepSeek-V3
  kLineEnd = 128     // \r \n
};

constexpr uint32_t kCodePoints = 0x110000;

// Indexed by code point; surrogates are 0. Filled on the first call. A test compares them with the regular
// expressions that the scanners stand for.
const uint8_t* unicode_classes();

// The character at `at`, which must begin one: UTF-8 without errors.
struct Character {
  uint32_t code_point;
  uint32_t bytes;
};
inline Character character_at(const unsigned char* at) {
  const uint32_t lead = at[0];
  if (lead < 0x80) return {lead, 1};
  if (lead < 0xE0) return {(lead & 0x1F) << 6 | (at[1] & 0x3FU), 2};
  if (lead < 0xF0) return {(lead & 0x0F) << 12 | (at[1] & 0x3FU) << 6 | (at[2] & 0x3FU), 3};
  return {(lead & 0x07) << 18 | (at[1] & 0x3FU) << 12 | (at[2] & 0x3FU) << 6 | (at[3] & 0x3FU), 4};
}

}  // namespace dlcm::data
