// The field `pre_tokenizer`: cuts text into the pieces within which tokens are made. Supported are Split,
// Digits and ByteLevel, alone or in a Sequence that ends in ByteLevel, with the results of Hugging Face's
// `tokenizers`.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "data/bpe/piece_batch.h"
#include "data/bpe/regex.h"
#include "data/bpe/scanners.h"

namespace dlcm::data {

class JsonValue;

// What becomes of the matches of a Split, the delimiters.
enum class SplitBehavior : uint8_t {
  removed,               // only what lies between them is left
  isolated,              // each is a piece
  merged_with_previous,  // each ends the piece before it
  merged_with_next,      // each begins the piece after it
  contiguous             // as isolated, delimiters next to each other are one piece
};

class PreTokenizer {
 public:
  explicit PreTokenizer(const JsonValue& field);

  // The text, which must be UTF-8, in pieces, in order.
  void split(std::string_view text, const PieceSink& sink) const;
  // As above by regular expressions alone: what the scanners are tested against.
  void split_by_expressions(std::string_view text, const PieceSink& sink) const;
  bool has_scanner() const { return scanner_ != nullptr; }
  // Where a text may be cut into parts with the same pieces (text_cut.h).
  Cuts cuts() const { return add_prefix_space_ ? Cuts::none : cuts_of(scanner_); }

 private:
  struct Step {
    Regex expression;
    SplitBehavior behavior;
    bool invert;
  };
  void add(const JsonValue& field, bool last, std::vector<std::string_view>& scanned);
  void add_split(const JsonValue& field, std::vector<std::string_view>& scanned);
  void add_byte_level(const JsonValue& field, std::vector<std::string_view>& scanned);
  void emit(std::string_view piece, PieceBatch& pieces) const;

  std::vector<Step> steps_;
  bool add_prefix_space_ = false;  // by ByteLevel, to each piece of the steps that does not begin with one
  std::vector<Step> words_;        // ByteLevel's own, none or one, behind the prefix
  bool only_isolated_ = true;
  Scanner scanner_ = nullptr;  // for all of it behind the prefix
};

// The pieces of one Split; `matches` is memory for the call.
void split_at_matches(std::string_view text, const std::vector<Span>& matches, SplitBehavior behavior,
                      bool invert, std::vector<std::string_view>& pieces);

}  // namespace dlcm::data
