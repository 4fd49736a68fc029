// From the bytes of tokens, as they are made, to text that may be shown: whole characters, up to a stop
// string.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "apps/common/concept_text.h"

namespace dlcm::apps {

// Puts bytes together to well-formed UTF-8. What can no longer become a character is replaced by U+FFFD, one
// for each longest beginning of a character (Unicode 15, section 3.9, "maximal subparts").
class Utf8Stream {
 public:
  // The characters that are complete with these bytes.
  std::string push(std::string_view bytes);
  // What is left at the end: U+FFFD for an incomplete character, or nothing.
  std::string finish();
  bool has_pending() const { return !pending_.empty(); }

 private:
  std::string pending_;  // the beginning of a character
};

class TextStream {
 public:
  // Text ends before the first occurrence of any of `stops`, which must be UTF-8 and not empty.
  explicit TextStream(std::vector<std::string> stops = {});

  // Adds a token's bytes; `begins_concept`: the token began one. A concept that begins within a character is
  // marked after it. Returns what may be shown: text that could be the beginning of a stop string waits.
  TextPiece push(std::string_view bytes, bool begins_concept);
  // Whether a stop string has occurred; nothing more may be pushed then.
  bool stopped() const { return stopped_; }
  // The rest.
  TextPiece finish();

 private:
  void add(const std::string& characters);
  void find_stop();
  size_t releasable() const;
  TextPiece release(size_t end);

  std::vector<std::string> stops_;
  size_t longest_stop_ = 0;
  Utf8Stream characters_;
  std::string waiting_;        // not yet shown
  std::vector<size_t> marks_;  // in waiting_
  bool mark_pending_ = false;  // a concept began within a character that is not complete
  bool stopped_ = false;
};

}  // namespace dlcm::apps
