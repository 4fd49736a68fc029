// Where a text may be cut so that the tokens of both parts together are those of the whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace dlcm::data {

// What cuts a text into pieces, as far as it matters here.
enum class Cuts : uint8_t {
  none,  // nothing is known of it
  // The expressions of GPT-2: a run of white space before a letter gives its last character to the next
  // piece.
  words,
  // Those of Llama 3 and Qwen 2: as GPT-2, but a run of white space is a piece up to its last line end.
  words_and_lines,
  // DeepSeek-V3's: marks belong to words, and ideographs are cut apart from everything else.
  deepseek
};

// In which characters a place lies that is a cut.
enum class CutCharacters : uint8_t { any, ascii };

class TextCutter {
 public:
  // `characters`: ascii where a normalizer comes before, whose forms compose characters. `kept`: texts that
  // no cut may lie in.
  TextCutter(Cuts cuts, CutCharacters characters, const std::vector<std::string_view>& kept);

  // The last cut behind `from` in the text, which may end within a character; 0 where there is none. Whatever
  // follows the text, its pieces are then those of the two parts.
  //
  // Between the characters before and behind a cut no piece of the expressions goes on, wherever it began;
  // the piece before ends there whether the text ends there or goes on; and nothing of an expression looks
  // back. That holds of the following, which tests compare with the scanners:
  // - a letter (for DeepSeek-V3 also a mark) or a number, and a character that is not of that kind;
  // - anything but white space, and a space;
  // - a line end, and anything but white space, where runs of white space are cut behind line ends;
  // - for DeepSeek-V3, the ends of runs of ideographs.
  size_t last_cut(std::string_view text, size_t from) const;

 private:
  bool is_cut(std::string_view text, size_t before, size_t at) const;

  Cuts cuts_;
  CutCharacters characters_;
  std::vector<bool> kept_pairs_;  // [byte before * 256 + byte behind]: next to each other in a kept text
};

}  // namespace dlcm::data
