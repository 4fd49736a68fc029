#include "data/bpe/pre_tokenizer.h"

#include <algorithm>
#include <string>
#include <utility>

#include "data/bpe/json_value.h"
#include "tensor/check.h"

namespace dlcm::data {
namespace {

constexpr const char* kNumber = "\\p{N}";

// A stretch of the text: a match, or what lies between two.
struct Part {
  Span span;
  bool is_match;
};

std::vector<Part> parts_of(std::string_view text, const std::vector<Span>& matches, bool invert) {
  std::vector<Part> parts;
  size_t end = 0;
  for (const Span& match : matches) {
    if (match.begin != end) parts.push_back({{end, match.begin}, invert});
    parts.push_back({match, !invert});
    end = match.end;
  }
  if (end != text.size()) parts.push_back({{end, text.size()}, invert});
  return parts;
}

// Whether the part joins the one before it in the order in which they are gone through.
bool joins(SplitBehavior behavior, bool is_match, bool previous_is_match) {
  if (behavior == SplitBehavior::contiguous) return is_match == previous_is_match;
  const bool merges =
      behavior == SplitBehavior::merged_with_previous || behavior == SplitBehavior::merged_with_next;
  return merges && is_match && !previous_is_match;
}

SplitBehavior behavior_of(const JsonValue& field) {
  const std::pair<const char*, SplitBehavior> names[] = {
      {"Removed", SplitBehavior::removed},
      {"Isolated", SplitBehavior::isolated},
      {"MergedWithPrevious", SplitBehavior::merged_with_previous},
      {"MergedWithNext", SplitBehavior::merged_with_next},
      {"Contiguous", SplitBehavior::contiguous}};
  for (const auto& [name, behavior] : names) {
    if (field.string() == name) return behavior;
  }
  field.refuse_name(field.string(),
                    {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"});
}

}  // namespace

// As Hugging Face does it: a part joins the last piece where there is one, and the piece before the first
// part counts as one that is no match.
void split_at_matches(std::string_view text, const std::vector<Span>& matches, SplitBehavior behavior,
                      bool invert, std::vector<std::string_view>& pieces) {
  std::vector<Part> parts = parts_of(text, matches, invert);
  const bool backwards = behavior == SplitBehavior::merged_with_next;
  if (backwards) std::reverse(parts.begin(), parts.end());
  std::vector<Span> spans;
  bool previous_is_match = false;
  for (const Part& part : parts) {
    if (behavior == SplitBehavior::removed && part.is_match) continue;
    if (!spans.empty() && joins(behavior, part.is_match, previous_is_match)) {
      spans.back() = {std::min(spans.back().begin, part.span.begin),
                      std::max(spans.back().end, part.span.end)};
    } else {
      spans.push_back(part.span);
    }
    previous_is_match = part.is_match;
  }
  if (backwards) std::reverse(spans.begin(), spans.end());
  for (const Span& span : spans) {
    if (span.begin < span.end) pieces.push_back(text.substr(span.begin, span.end - span.begin));
  }
}

PreTokenizer::PreTokenizer(const JsonValue& field) {
  if (field.is_null()) field.refuse("there is none; supported are those that end in ByteLevel");
  std::vector<std::string_view> expressions;
  if (field.type() == "Sequence") {
    const JsonValue list = field["pretokenizers"];
    const size_t count = list.size();
    if (count == 0) list.refuse("it is empty; supported are those that end in ByteLevel");
    size_t done = 0;
    for (const JsonValue& step : list.elements()) add(step, ++done == count, expressions);
  } else {
    add(field, true, expressions);
  }
  if (only_isolated_ && (!add_prefix_space_ || steps_.empty())) scanner_ = find_scanner(expressions);
}

void PreTokenizer::add(const JsonValue& field, bool last, std::vector<std::string_view>& scanned) {
  const std::string_view type = field.type();
  if ((type == "ByteLevel") != last && (type == "ByteLevel" || type == "Split" || type == "Digits")) {
    field.refuse(last ? concat("'", type, "' is the last; supported are those that end in ByteLevel")
                      : std::string("'ByteLevel' is supported as the last alone"));
  }
  if (type == "ByteLevel") {
    add_byte_level(field, scanned);
  } else if (type == "Split") {
    add_split(field, scanned);
  } else if (type == "Digits") {
    const bool each = field["individual_digits"].boolean();
    const auto behavior = each ? SplitBehavior::isolated : SplitBehavior::contiguous;
    steps_.push_back({Regex(kNumber, field.place()), behavior, false});
    only_isolated_ = only_isolated_ && each;
    scanned.emplace_back(kNumber);
  } else {
    field.refuse_name(type, {"Split", "Digits", "ByteLevel", "a Sequence of them"});
  }
}

void PreTokenizer::add_split(const JsonValue& field, std::vector<std::string_view>& scanned) {
  const JsonValue pattern = field["pattern"];
  const bool is_regex = pattern.has("Regex");
  const JsonValue text = pattern[is_regex ? "Regex" : "String"];
  const std::string expression = is_regex ? std::string(text.string()) : escape_regex(text.string());
  Step step{Regex(expression, text.place()), behavior_of(field["behavior"]), field["invert"].boolean()};
  only_isolated_ = only_isolated_ && is_regex && step.behavior == SplitBehavior::isolated && !step.invert;
  steps_.push_back(std::move(step));
  scanned.emplace_back(text.string());  // of the file, which outlives the constructor
}

void PreTokenizer::add_byte_level(const JsonValue& field, std::vector<std::string_view>& scanned) {
  add_prefix_space_ = field["add_prefix_space"].boolean();
  if (field.has("trim_offsets")) field["trim_offsets"].boolean();
  if (!field.boolean_or("use_regex", true)) return;
  words_.push_back({Regex(kGpt2, field.place()), SplitBehavior::isolated, false});
  scanned.emplace_back(kGpt2);
}

void PreTokenizer::split(std::string_view text, const PieceSink& sink) const {
  if (scanner_ == nullptr) return split_by_expressions(text, sink);
  if (text.empty()) return;
  PieceBatch pieces(sink);
  std::string prefixed;
  if (add_prefix_space_ && text[0] != ' ') {
    prefixed = " ";
    text = prefixed += text;
  }
  scanner_(text, pieces);
  pieces.flush();
}

void PreTokenizer::split_by_expressions(std::string_view text, const PieceSink& sink) const {
  std::vector<std::string_view> before;
  std::vector<std::string_view> after = {text};
  std::vector<Span> matches;
  for (const Step& step : steps_) {
    before.swap(after);
    after.clear();
    for (const std::string_view piece : before) {
      step.expression.find_all(piece, matches);
      split_at_matches(piece, matches, step.behavior, step.invert, after);
    }
  }
  PieceBatch pieces(sink);
  for (const std::string_view piece : after) {
    if (!piece.empty()) emit(piece, pieces);
  }
  pieces.flush();
}

// ByteLevel on one piece.
void PreTokenizer::emit(std::string_view piece, PieceBatch& pieces) const {
  std::string prefixed;
  const bool add_space = add_prefix_space_ && piece[0] != ' ';
  if (add_space) {
    prefixed = " ";
    piece = prefixed += piece;
  }
  std::vector<std::string_view> words;
  if (words_.empty()) {
    words.push_back(piece);
  } else {
    std::vector<Span> matches;
    words_.front().expression.find_all(piece, matches);
    split_at_matches(piece, matches, SplitBehavior::isolated, false, words);
  }
  for (const std::string_view word : words) pieces.add(word);
  if (add_space) pieces.flush();  // what they point into ends here
}

}  // namespace dlcm::data
