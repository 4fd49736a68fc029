// The concepts that a model sees in a text.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizer.h"
#include "dlcm/language_model.h"

namespace dlcm::apps {

struct ConceptSpan {
  std::string text;    // the concepts' texts joined are the whole text: a character that several concepts
                       // share is in the first of them
  int64_t tokens = 0;  // the begin token not counted
  // p of each token; the first made the concept begin, but for the text's first token. NaN where the text was
  // cut for the model's context, which tells nothing of a boundary there; never for the first.
  std::vector<float> probability;
};

// Boundaries are thresholded. The text is a document's beginning; where it is longer than `context` tokens it
// is cut, as in training: the model sees no further back than the cut, which is not shown as a boundary.
// `text` is UTF-8. Throws InputError where the model is a
// transformer, which has no concepts.
std::vector<ConceptSpan> concepts_of(const LanguageModel& model, const data::Tokenizer& tokenizer,
                                     const std::string& text, int64_t context);
// The same of a document's first tokens, of which `skipped` are not of its text; `texts`: what each stands
// for.
std::vector<ConceptSpan> concepts_of(const LanguageModel& model, std::span<const int32_t> tokens,
                                     std::span<const std::string_view> texts, size_t skipped,
                                     int64_t context);

// How many concepts have 1, 2, ... tokens: element 0 counts those of one token.
std::vector<int64_t> length_histogram(const std::vector<ConceptSpan>& concepts);

}  // namespace dlcm::apps
