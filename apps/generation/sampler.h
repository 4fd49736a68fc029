// How the next token is chosen from a row of logits.
#pragma once

#include <cstdint>
#include <span>

namespace dlcm::apps {

// Applied in this order: probabilities are softmax(logits / temperature); of them the `top_k` most likely
// stay, of those the smallest set whose probabilities reach `top_p` of their sum, of those the ones that are
// at least `min_p` times as likely as the most likely.
struct SamplerConfig {
  double temperature = 1.0;  // 0: the most likely token; at most 1000
  int64_t top_k = 0;         // 0: all
  double top_p = 1.0;        // above 0, 1: all
  double min_p = 0.0;        // 0: all, at most 1
  int64_t seed = 1;          // not negative
};

// Throws InputError that names the option and what is allowed.
void check(const SamplerConfig& config);

struct SampledToken {
  int32_t id = 0;
  double log_probability = 0;  // under the model: log softmax(logits)[id], whatever the options
};

// A pure function of its arguments: `position` is the token's own in its sequence, so what is drawn for one
// prompt does not depend on others. Tokens of equal logits are ordered by their ids. A logit of -inf is a
// token that cannot come; throws Error where one is NaN or +inf or where all are -inf.
SampledToken sample(std::span<const float> logits, const SamplerConfig& config, uint64_t position);

}  // namespace dlcm::apps
