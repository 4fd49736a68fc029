#include "apps/training/samples.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <string_view>
#include <utility>

#include "apps/common/json.h"
#include "apps/segmenting/concepts.h"
#include "data/tokenizer.h"
#include "data/utf8.h"

namespace dlcm::apps {
namespace {

constexpr int64_t kSampleBytes = 300;

// Drops what is beyond kSampleBytes, the document's end token, and tokens that a character cut there leaves.
void cut(HeldoutSample& sample) {
  std::string text;
  size_t whole = 0;  // tokens
  for (size_t t = 0; t < sample.texts.size(); ++t) {
    text += sample.texts[t];
    if (text.size() > kSampleBytes) break;
    const bool is_text = !sample.texts[t].empty();
    if (is_text && data::first_invalid_utf8(text) == text.size()) whole = t + 1;
  }
  sample.tokens.resize(whole);
  sample.texts.resize(whole);
}

std::string line_of(int64_t step, const HeldoutSample& sample, const std::vector<ConceptSpan>& concepts) {
  std::vector<std::string> texts;
  std::vector<int64_t> tokens;
  std::vector<double> p;
  for (const ConceptSpan& span : concepts) {
    texts.push_back(span.text);
    tokens.push_back(span.tokens);
    p.push_back(std::round(static_cast<double>(span.probability.front()) * 1e4) / 1e4);
  }
  JsonObject object;
  object.add("step", step);
  object.add("domain", sample.domain);
  object.add("concepts", texts);
  object.add("tokens", tokens);
  object.add("p", p);
  return object.text() + "\n";
}

}  // namespace

HeldoutSamples heldout_samples(const data::HeldoutReader& reader,
                               const std::vector<std::string>& tokenizer_places, int64_t context) {
  std::unique_ptr<data::Tokenizer> tokenizer;
  try {
    tokenizer = data::find_tokenizer(reader.tokenizer(), reader.vocab_size(), tokenizer_places);
  } catch (const InputError& error) {
    return {{}, error.what()};
  }
  if (!tokenizer) return {{}, "there is no tokenizer.json of '" + reader.tokenizer() + "' beside the shards"};
  std::vector<HeldoutSample> samples;
  const std::vector<std::string> domains = reader.domains();
  for (size_t i = 0; i < domains.size(); ++i) {
    // A token of text is at least a byte; one more is the begin token.
    HeldoutSample sample{domains[i], reader.beginning(i, std::min(context, kSampleBytes + 1)), {}};
    for (const int32_t token : sample.tokens) sample.texts.emplace_back(tokenizer->decode(token));
    cut(sample);
    if (!sample.tokens.empty()) samples.push_back(std::move(sample));
  }
  return {samples, samples.empty() ? "the held-out documents have no text" : ""};
}

void SampleLog::write(int64_t step, const LanguageModel& model, const std::vector<HeldoutSample>& samples) {
  for (const HeldoutSample& sample : samples) {
    const std::vector<std::string_view> texts(sample.texts.begin(), sample.texts.end());
    const auto context = static_cast<int64_t>(sample.tokens.size());
    file_.write(line_of(step, sample, concepts_of(model, sample.tokens, texts, 1, context)));
  }
}

}  // namespace dlcm::apps
