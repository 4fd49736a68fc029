#include "apps/generation/sampler.h"

#include <cmath>
#include <limits>
#include <vector>

#include <doctest/doctest.h>

#include "tensor/check.h"

using namespace dlcm;
using namespace dlcm::apps;

namespace {

std::vector<double> shares(const std::vector<float>& logits, const SamplerConfig& config, uint64_t draws) {
  std::vector<double> counts(logits.size());
  for (uint64_t position = 0; position < draws; ++position) {
    counts[static_cast<size_t>(sample(logits, config, position).id)] += 1.0 / static_cast<double>(draws);
  }
  return counts;
}

// Softmax of the logits at a temperature, over the ids that stay.
std::vector<double> expected(const std::vector<float>& logits, double temperature,
                             const std::vector<size_t>& ids) {
  std::vector<double> result(logits.size());
  double sum = 0;
  for (const size_t id : ids) sum += std::exp(logits[id] / temperature);
  for (const size_t id : ids) result[id] = std::exp(logits[id] / temperature) / sum;
  return result;
}

void check_shares(const std::vector<float>& logits, const SamplerConfig& config,
                  const std::vector<size_t>& ids) {
  constexpr uint64_t kDraws = 20000;
  const std::vector<double> found = shares(logits, config, kDraws);
  const std::vector<double> wanted = expected(logits, config.temperature, ids);
  for (size_t id = 0; id < logits.size(); ++id) {
    CAPTURE(id);
    const double deviation = std::sqrt(wanted[id] * (1 - wanted[id]) / kDraws);
    CHECK(std::abs(found[id] - wanted[id]) <= 4 * deviation + 1e-9);
  }
}

// Probabilities 0.4, 0.1, 0.3, 0.15, 0.05.
const std::vector<float> kLogits = {std::log(0.4f), std::log(0.1f), std::log(0.3f), std::log(0.15f),
                                    std::log(0.05f)};

}  // namespace

TEST_CASE("sampler: shares of many draws are the probabilities") {
  check_shares(kLogits, {}, {0, 1, 2, 3, 4});
  check_shares(kLogits, {.temperature = 2.5}, {0, 1, 2, 3, 4});
  check_shares(kLogits, {.temperature = 0.3, .seed = 9}, {0, 1, 2, 3, 4});
}

TEST_CASE("sampler: top_k, top_p and min_p cut as they say, one after the other") {
  check_shares(kLogits, {.top_k = 2}, {0, 2});
  check_shares(kLogits, {.top_k = 9}, {0, 1, 2, 3, 4});
  check_shares(kLogits, {.top_p = 0.75}, {0, 2, 3});
  check_shares(kLogits, {.top_p = 0.5}, {0, 2});
  check_shares(kLogits, {.top_p = 1e-9}, {0});
  check_shares(kLogits, {.min_p = 0.3}, {0, 2, 3});
  // Of 0.4 / 0.85, 0.3 / 0.85 and 0.15 / 0.85 two reach 0.8.
  check_shares(kLogits, {.top_k = 3, .top_p = 0.8}, {0, 2});
  check_shares(kLogits, {.top_k = 4, .top_p = 0.99, .min_p = 0.5}, {0, 2});
  // Temperature comes first: at 0.5 the most likely has 0.16 / 0.285.
  check_shares(kLogits, {.temperature = 0.5, .top_p = 0.55}, {0});
}

TEST_CASE("sampler: temperature 0 takes the first of the most likely") {
  const std::vector<float> logits = {1, 3, 3, -2};
  for (uint64_t position = 0; position < 20; ++position) {
    CHECK(sample(logits, {.temperature = 0}, position).id == 1);
    CHECK(sample(logits, {.top_k = 1}, position).id == 1);
    CHECK(sample(logits, {.temperature = 1e-300}, position).id != 0);
  }
}

TEST_CASE("sampler: a pure function of seed and position") {
  const std::vector<float> logits(50, 0.0f);
  int equal_positions = 0;
  int equal_seeds = 0;
  for (uint64_t position = 0; position < 100; ++position) {
    const int32_t id = sample(logits, {.seed = 3}, position).id;
    CHECK(sample(logits, {.seed = 3}, position).id == id);
    equal_positions += sample(logits, {.seed = 3}, position + 1).id == id ? 1 : 0;
    equal_seeds += sample(logits, {.seed = 4}, position).id == id ? 1 : 0;
  }
  CHECK(equal_positions < 15);
  CHECK(equal_seeds < 15);
}

TEST_CASE("sampler: the log-probability is the model's own, whatever the options") {
  for (const SamplerConfig& config :
       {SamplerConfig{}, SamplerConfig{.temperature = 0}, SamplerConfig{.temperature = 0.2, .top_k = 2}}) {
    for (uint64_t position = 0; position < 10; ++position) {
      const SampledToken token = sample(kLogits, config, position);
      CHECK(token.log_probability == doctest::Approx(kLogits[static_cast<size_t>(token.id)]).epsilon(1e-6));
    }
  }
}

TEST_CASE("sampler: extremes") {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  CHECK(sample(std::vector<float>{5}, {}, 0).id == 0);
  CHECK(sample(std::vector<float>{5}, {}, 0).log_probability == 0);
  CHECK(sample(std::vector<float>{3e38f, -3e38f}, {}, 0).id == 0);
  for (uint64_t position = 0; position < 20; ++position) {
    CHECK(sample(std::vector<float>{-kInfinity, 1, -kInfinity}, {.temperature = 1000}, position).id == 1);
  }
  CHECK_THROWS_WITH_AS(sample(std::vector<float>{0, std::nanf(""), 1}, {}, 0),
                       doctest::Contains("token 1 is nan"), Error);
  CHECK_THROWS_AS(sample(std::vector<float>{0, kInfinity}, {.temperature = 0}, 0), Error);
  CHECK_THROWS_AS(sample(std::vector<float>{-kInfinity, -kInfinity}, {}, 0), Error);
}

TEST_CASE("sampler: impossible options are refused by name") {
  CHECK_NOTHROW(check(SamplerConfig{}));
  CHECK_THROWS_WITH_AS(check(SamplerConfig{.temperature = -1}), doctest::Contains("--temperature"),
                       InputError);
  CHECK_THROWS_AS(check(SamplerConfig{.temperature = std::nan("")}), InputError);
  CHECK_THROWS_AS(check(SamplerConfig{.temperature = 1e30}), InputError);
  CHECK_THROWS_WITH_AS(check(SamplerConfig{.top_k = -1}), doctest::Contains("--top-k"), InputError);
  CHECK_THROWS_WITH_AS(check(SamplerConfig{.top_p = 0}), doctest::Contains("--top-p"), InputError);
  CHECK_THROWS_AS(check(SamplerConfig{.top_p = 1.1}), InputError);
  CHECK_THROWS_WITH_AS(check(SamplerConfig{.min_p = 1.5}), doctest::Contains("--min-p"), InputError);
  CHECK_THROWS_AS(check(SamplerConfig{.min_p = -0.1}), InputError);
  CHECK_THROWS_WITH_AS(check(SamplerConfig{.seed = -1}), doctest::Contains("--seed"), InputError);
}
