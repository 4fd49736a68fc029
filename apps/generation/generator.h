// Text from a model: a ragged batch of prompts, token by token (section 12 of the model's description).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "apps/common/concept_text.h"
#include "apps/generation/sampler.h"
#include "data/tokenizer.h"
#include "dlcm/language_model.h"

namespace dlcm::apps {

enum class EndToken { stops, is_ignored };

struct GenerationOptions {
  SamplerConfig sampler;
  int64_t max_tokens = 256;        // of each prompt; 0: the prompt is read and nothing made
  std::vector<std::string> stops;  // text ends before the first of these
  EndToken end_token = EndToken::stops;
};

// Throws InputError that names the option and what is allowed.
void check(const GenerationOptions& options);

enum class FinishReason { end_token, stop_string, max_tokens };

// What was made for one prompt.
struct Generation {
  std::string text;             // without special tokens
  std::vector<int32_t> tokens;  // all that were drawn: also the end token, and those of the stop string
  std::vector<double> log_probabilities;  // of each, under the model
  std::vector<uint8_t> boundaries;        // whether each began a concept; empty for a transformer
  int64_t prompt_tokens = 0;              // with the begin token
  FinishReason reason = FinishReason::max_tokens;
  double prompt_seconds = 0;
  double seconds = 0;  // from the first token of the batch until this prompt was finished
};

// What a caller hears while text is made; both may be empty.
struct GenerationEvents {
  std::function<void(size_t prompt, const TextPiece& piece)> text;
  std::function<void(size_t prompt, const Generation& generation)> finished;
};

// Continues each prompt, as a document that begins with it. Each prompt is read alone, then all go on
// together, a token at a time; those that are finished leave. The arithmetic of a prompt, and so its result
// (times apart), does not depend on the others, to the bit. Throws InputError where a model's concepts leak
// (visibility `containing`).
std::vector<Generation> generate(const LanguageModel& model, const data::Tokenizer& tokenizer,
                                 const std::vector<std::string>& prompts, const GenerationOptions& options,
                                 const GenerationEvents& events = {});

}  // namespace dlcm::apps
