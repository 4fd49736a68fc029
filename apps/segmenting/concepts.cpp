#include "apps/segmenting/concepts.h"

#include <algorithm>
#include <limits>

#include "autograd/tape.h"

namespace dlcm::apps {
namespace {

bool continues_character(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

// Bytes that continue a character move to the concept in which it begins.
void keep_characters_whole(std::vector<ConceptSpan>& concepts) {
  ConceptSpan* owner = nullptr;
  for (ConceptSpan& span : concepts) {
    size_t bytes = 0;
    while (owner != nullptr && bytes < span.text.size() && continues_character(span.text[bytes])) ++bytes;
    if (bytes > 0) owner->text += span.text.substr(0, bytes);
    span.text.erase(0, bytes);
    if (!span.text.empty()) owner = &span;
  }
}

// The concepts of one piece of the document; `skipped` leading tokens are not of the text. The model sees no
// further back than the context, so that it always begins a concept with a piece's first token and has no
// say in it: a cut is no boundary, and what follows it is shown with the concept before it.
void append_piece(const LanguageModel& model, std::span<const int32_t> tokens,
                  std::span<const std::string_view> texts, size_t skipped,
                  std::vector<ConceptSpan>& concepts) {
  const ForwardOutput output = model.forward(single_document(tokens), {});
  const auto* p = output.probability.data<float>();
  const auto* boundary = output.segmentation.boundary.data<uint8_t>();
  for (size_t t = skipped; t < tokens.size(); ++t) {
    const bool is_cut = t == 0;
    // A concept that the begin token opened shows with the first token of the text.
    if (concepts.empty() || (boundary[t] != 0 && !is_cut)) concepts.emplace_back();
    ConceptSpan& span = concepts.back();
    span.text += texts[t];
    const bool has_probability = !is_cut || span.tokens == 0;
    span.probability.push_back(has_probability ? p[t] : std::numeric_limits<float>::quiet_NaN());
    ++span.tokens;
  }
}

}  // namespace

std::vector<ConceptSpan> concepts_of(const LanguageModel& model, const data::Tokenizer& tokenizer,
                                     const std::string& text, int64_t context) {
  std::vector<int32_t> ids = tokenizer.prompt_begin();
  const size_t skipped = ids.size();
  tokenizer.encode(text, ids);
  std::vector<std::string_view> texts;
  for (const int32_t id : ids) texts.push_back(tokenizer.decode(id));
  return concepts_of(model, ids, texts, skipped, context);
}

std::vector<ConceptSpan> concepts_of(const LanguageModel& model, std::span<const int32_t> tokens,
                                     std::span<const std::string_view> texts, size_t skipped,
                                     int64_t context) {
  DLCM_CHECK_INPUT(model.config().kind == ModelKind::dlcm,
                   "the model is a transformer, which has no concepts; give the checkpoint of a dlcm");
  const autograd::NoGrad no_grad;
  std::vector<ConceptSpan> concepts;
  const auto most = static_cast<size_t>(std::max<int64_t>(context, 1));
  for (size_t first = 0; first < tokens.size(); first += most) {
    const size_t count = std::min(most, tokens.size() - first);
    append_piece(model, tokens.subspan(first, count), texts.subspan(first, count), first == 0 ? skipped : 0,
                 concepts);
  }
  keep_characters_whole(concepts);
  return concepts;
}

std::vector<int64_t> length_histogram(const std::vector<ConceptSpan>& concepts) {
  std::vector<int64_t> counts;
  for (const ConceptSpan& span : concepts) {
    const auto length = static_cast<size_t>(span.tokens);
    if (counts.size() < length) counts.resize(length);
    ++counts[length - 1];
  }
  return counts;
}

}  // namespace dlcm::apps
