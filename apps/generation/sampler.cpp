#include "apps/generation/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "tensor/check.h"
#include "tensor/random.h"

namespace dlcm::apps {
namespace {

constexpr double kLargestTemperature = 1000;
// All draws of one sequence have the same index: two equal prompts get equal texts.
constexpr uint64_t kSamplingIndex = 0;

// A token that may be drawn, and its probability up to a common factor.
struct Candidate {
  int32_t id;
  double weight;
};

void require_usable(std::span<const float> logits) {
  float largest = -std::numeric_limits<float>::infinity();
  for (size_t id = 0; id < logits.size(); ++id) {
    DLCM_CHECK(!std::isnan(logits[id]) && logits[id] < std::numeric_limits<float>::infinity(),
               "the model's logit of token ", id, " is ", logits[id],
               ": its training has diverged or the checkpoint is not one of this program");
    largest = std::max(largest, logits[id]);
  }
  DLCM_CHECK(std::isfinite(largest), "the model gives no token a probability above 0");
}

// The first of the largest.
int32_t most_likely(std::span<const float> logits) {
  return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

double log_probability(std::span<const float> logits, int32_t id, double largest) {
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - largest);
  return logits[static_cast<size_t>(id)] - largest - std::log(sum);
}

// Keeps the `kept` most likely, most likely first.
void order(std::vector<Candidate>& candidates, size_t kept) {
  const auto before = [](const Candidate& a, const Candidate& b) {
    return a.weight != b.weight ? a.weight > b.weight : a.id < b.id;
  };
  const auto end = candidates.begin() + static_cast<std::ptrdiff_t>(kept);
  std::partial_sort(candidates.begin(), end, candidates.end(), before);
  candidates.resize(kept);
}

double total_weight(const std::vector<Candidate>& candidates) {
  return std::accumulate(candidates.begin(), candidates.end(), 0.0,
                         [](double sum, const Candidate& candidate) { return sum + candidate.weight; });
}

// How many of the candidates, most likely first, reach `share` of their sum.
size_t nucleus(const std::vector<Candidate>& candidates, double share) {
  const double enough = share * total_weight(candidates);
  double sum = 0;
  for (size_t i = 0; i < candidates.size(); ++i) {
    sum += candidates[i].weight;
    if (sum >= enough) return i + 1;
  }
  return candidates.size();
}

std::vector<Candidate> candidates_for(std::span<const float> logits, const SamplerConfig& config,
                                      double largest) {
  std::vector<Candidate> candidates;
  for (size_t id = 0; id < logits.size(); ++id) {
    const double weight = std::exp((logits[id] - largest) / config.temperature);  // 1 for the most likely
    if (weight > 0) candidates.push_back({static_cast<int32_t>(id), weight});
  }
  const size_t most = config.top_k > 0 ? static_cast<size_t>(config.top_k) : candidates.size();
  if (most < candidates.size() || config.top_p < 1) {  // nothing else needs them sorted
    order(candidates, std::min(most, candidates.size()));
    candidates.resize(nucleus(candidates, config.top_p));
  }
  std::erase_if(candidates, [&](const Candidate& candidate) { return candidate.weight < config.min_p; });
  return candidates;
}

// Uniform in [0, 1) with 53 bits.
double uniform(uint64_t seed, uint64_t position) {
  const uint64_t bits = random_bits(seed, RandomStream::sampling, kSamplingIndex, position);
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

int32_t draw(const std::vector<Candidate>& candidates, double u) {
  const double target = u * total_weight(candidates);
  double sum = 0;
  for (const Candidate& candidate : candidates) {
    sum += candidate.weight;
    if (target < sum) return candidate.id;
  }
  return candidates.back().id;
}

}  // namespace

void check(const SamplerConfig& config) {
  DLCM_CHECK_INPUT(config.temperature >= 0 && config.temperature <= kLargestTemperature,
                   "--temperature = ", config.temperature, ": expected a number from 0 to ",
                   kLargestTemperature);
  DLCM_CHECK_INPUT(config.top_k >= 0, "--top-k = ", config.top_k,
                   ": expected a whole number, 0 for all tokens");
  DLCM_CHECK_INPUT(config.top_p > 0 && config.top_p <= 1, "--top-p = ", config.top_p,
                   ": expected a number above 0, at most 1");
  DLCM_CHECK_INPUT(config.min_p >= 0 && config.min_p <= 1, "--min-p = ", config.min_p,
                   ": expected a number from 0 to 1");
  DLCM_CHECK_INPUT(config.seed >= 0, "--seed = ", config.seed, ": expected a whole number of at least 0");
}

SampledToken sample(std::span<const float> logits, const SamplerConfig& config, uint64_t position) {
  DLCM_CHECK(!logits.empty(), "sample: no logits");
  require_usable(logits);
  SampledToken token;
  token.id = most_likely(logits);
  const double largest = logits[static_cast<size_t>(token.id)];
  if (config.temperature > 0) {
    token.id =
        draw(candidates_for(logits, config, largest), uniform(static_cast<uint64_t>(config.seed), position));
  }
  token.log_probability = log_probability(logits, token.id, largest);
  return token;
}

}  // namespace dlcm::apps
