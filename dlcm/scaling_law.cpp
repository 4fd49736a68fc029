#include "dlcm/scaling_law.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <set>

#include "dlcm/least_squares.h"
#include "tensor/check.h"
#include "tensor/random.h"

namespace dlcm {
namespace {

constexpr double kBillion = 1e9;

void check_positive(double value, const char* law, size_t index, const char* name) {
  DLCM_CHECK_INPUT(std::isfinite(value) && value > 0, law, ": ", name, " of record ", index, " is ", value,
                   "; it must be a positive number");
}

void check_compression(double value, const char* law, size_t index) {
  DLCM_CHECK_INPUT(std::isfinite(value) && value >= 1, law, ": the compression of record ", index, " is ",
                   value, "; tokens per concept are at least 1");
}

void check_configuration(const ScalingPoint& point, size_t index) {
  check_positive(point.parameters, "scaling law", index, "the parameters");
  check_positive(point.tokens, "scaling law", index, "the tokens");
  check_compression(point.compression, "scaling law", index);
  DLCM_CHECK_INPUT(point.concept_share > 0 && point.concept_share < 1,
                   "scaling law: the concept share of record ", index, " is ", point.concept_share,
                   "; it must lie between 0 and 1");
}

constexpr size_t kMost = kMostUnknowns;  // coefficients of Eq. 22

// --- Eq. 22 as a least-squares problem
// ------------------------------------------------------------------------

// Where each unknown stands. All but gamma are logarithms.
enum Unknown : size_t {
  kE0,
  kFactor,                  // three: token, concept, data
  kExponent = kFactor + 3,  // three: delta1, delta2, alpha
  kGamma = kExponent + 3,
  kOffset,  // three, absent without offsets
};

// Sizes are divided by their geometric means over the points, and R likewise, so that a factor is the term's
// value at a typical point: factors and exponents are then nearly uncorrelated, and every unknown is of
// order 1.
struct Sample {
  std::array<double, 3> size;  // N (1 - P), N P, D
  double log_compression;
  double log_loss;
};

struct Problem {
  std::vector<Sample> samples;
  std::array<double, 3> typical{};  // in billions
  double typical_log_compression = 0;
  double typical_log_loss = 0;
  double huber = 0;
  size_t count = 0;  // unknowns
  Vector lower{}, upper{};
};

Problem make_problem(const std::vector<ScalingPoint>& points, const ScalingFitOptions& options) {
  Problem problem;
  problem.huber = options.huber;
  problem.count = options.offsets ? kMost : kMost - 3;
  const double share = 1 / static_cast<double>(points.size());
  std::array<double, 3> log_typical{};
  for (const ScalingPoint& point : points) {
    const double n = point.parameters / kBillion;
    const Sample sample{{n * (1 - point.concept_share), n * point.concept_share, point.tokens / kBillion},
                        std::log(point.compression),
                        std::log(point.loss)};
    for (size_t i = 0; i < 3; ++i) log_typical[i] += share * std::log(sample.size[i]);
    problem.typical_log_compression += share * sample.log_compression;
    problem.typical_log_loss += share * sample.log_loss;
    problem.samples.push_back(sample);
  }
  for (size_t i = 0; i < 3; ++i) problem.typical[i] = std::exp(log_typical[i]);
  for (Sample& sample : problem.samples) {
    for (size_t i = 0; i < 3; ++i) sample.size[i] /= problem.typical[i];
    sample.log_compression -= problem.typical_log_compression;
  }
  problem.lower.fill(problem.typical_log_loss - 25);
  problem.upper.fill(problem.typical_log_loss + 5);
  for (size_t i = 0; i < 3; ++i) {
    problem.lower[kExponent + i] = std::log(1e-3);
    problem.upper[kExponent + i] = std::log(10.0);
    problem.lower[kOffset + i] = std::log(1e-6);
    problem.upper[kOffset + i] = std::log(10.0);
  }
  problem.lower[kGamma] = -10;
  problem.upper[kGamma] = 10;
  return problem;
}

// The predicted loss of a sample and its derivatives.
double predict_sample(const Problem& problem, const Vector& unknowns, const Sample& sample, Vector& slope) {
  double loss = std::exp(unknowns[kE0]);
  slope[kE0] = loss;
  for (size_t i = 0; i < 3; ++i) {
    const double exponent = std::exp(unknowns[kExponent + i]);
    const double offset = problem.count == kMost ? std::exp(unknowns[kOffset + i]) : 0;
    const double base = sample.size[i] + offset;
    const double log_base = std::log(base);
    const double growth = i == 1 ? unknowns[kGamma] * sample.log_compression : 0;
    const double term = std::exp(unknowns[kFactor + i] + growth - exponent * log_base);
    loss += term;
    slope[kFactor + i] = term;
    slope[kExponent + i] = -exponent * log_base * term;
    if (i == 1) slope[kGamma] = sample.log_compression * term;
    slope[kOffset + i] = -exponent * offset / base * term;
  }
  return loss;
}

// The objective, its gradient, and the Gauss-Newton matrix with Huber's weights: that quadratic lies above
// the Huber loss of the linearised residuals, so a damped step always descends.
struct Expansion {
  double objective = 0;
  Vector gradient{};
  Matrix matrix{};
};

Expansion expand(const Problem& problem, const Vector& unknowns) {
  Expansion result;
  Vector slope{};
  for (const Sample& sample : problem.samples) {
    const double loss = predict_sample(problem, unknowns, sample, slope);
    const double residual = std::log(loss) - sample.log_loss;
    const double size = std::abs(residual);
    const double weight = size <= problem.huber ? 1 : problem.huber / size;
    result.objective +=
        size <= problem.huber ? 0.5 * size * size : problem.huber * (size - 0.5 * problem.huber);
    for (size_t i = 0; i < problem.count; ++i) {
      const double scaled = weight * slope[i] / loss;
      result.gradient[i] += scaled * residual;
      for (size_t j = 0; j <= i; ++j) result.matrix[i][j] += scaled * slope[j] / loss;
    }
  }
  return result;
}

// The Levenberg-Marquardt step from `at`, of at most 1 in each unknown; those at a bound that the gradient
// pushes against stay. False if the system is singular.
bool damped_step(const Problem& problem, const Expansion& at, const Vector& unknowns, double damping,
                 Vector& next) {
  std::array<size_t, kMost> free{};
  size_t count = 0;
  for (size_t i = 0; i < problem.count; ++i) {
    const bool held = (unknowns[i] <= problem.lower[i] && at.gradient[i] > 0) ||
                      (unknowns[i] >= problem.upper[i] && at.gradient[i] < 0);
    if (!held) free[count++] = i;
  }
  double largest = 0;
  for (size_t i = 0; i < count; ++i) largest = std::max(largest, at.matrix[free[i]][free[i]]);
  Matrix matrix{};
  Vector right{}, step{};
  for (size_t i = 0; i < count; ++i) {
    right[i] = -at.gradient[free[i]];
    for (size_t j = 0; j <= i; ++j) matrix[i][j] = at.matrix[free[i]][free[j]];
    matrix[i][i] += damping * std::max(matrix[i][i], 1e-9 * largest);
  }
  if (!solve(matrix, right, count, 0, step)) return false;
  next = unknowns;
  for (size_t i = 0; i < count; ++i) {
    const double moved = unknowns[free[i]] + std::clamp(step[i], -1.0, 1.0);
    next[free[i]] = std::clamp(moved, problem.lower[free[i]], problem.upper[free[i]]);
  }
  return true;
}

// Descends from `unknowns`, which it replaces; returns the objective.
double descend(const Problem& problem, Vector& unknowns, int64_t iterations) {
  Expansion at = expand(problem, unknowns);
  double damping = 1e-2;
  int64_t slow = 0;  // steps in a row that gained next to nothing
  for (int64_t i = 0; i < iterations && slow < 20 && damping < 1e10; ++i) {
    Vector next{};
    if (!damped_step(problem, at, unknowns, damping, next)) {
      damping *= 4;
      continue;
    }
    const Expansion there = expand(problem, next);
    if (!(there.objective < at.objective)) {
      damping *= 4;
      continue;
    }
    slow = there.objective > (1 - 1e-8) * at.objective ? slow + 1 : 0;
    at = there;
    unknowns = next;
    damping = std::max(damping / 5, 1e-14);
  }
  return at.objective;
}

// A start: the loss of a typical point is shared out among E0 and the three terms.
Vector draw_start(const Problem& problem, uint64_t seed, int64_t start) {
  std::array<double, 12> uniform{};
  for (uint64_t block = 0; block < 3; ++block) {
    const std::array<uint32_t, 4> words = philox(seed, static_cast<uint64_t>(start), block);
    for (size_t i = 0; i < 4; ++i) uniform[4 * block + i] = words[i] * 0x1p-32;
  }
  double total = 0;
  for (size_t i = 0; i < 4; ++i) total += 0.05 + uniform[i];
  Vector unknowns{};
  for (size_t i = 0; i < 4; ++i)
    unknowns[kE0 + i] = problem.typical_log_loss + std::log((0.05 + uniform[i]) / total);
  for (size_t i = 0; i < 3; ++i) {
    unknowns[kExponent + i] = std::log(0.05) + uniform[4 + i] * std::log(20.0);  // 0.05 to 1
    unknowns[kOffset + i] = std::log(1e-3) * uniform[8 + i];  // 0.001 to 1, of the typical size
  }
  unknowns[kGamma] = uniform[7] - 0.25;
  return unknowns;
}

ScalingLaw law_of(const Problem& problem, const Vector& unknowns) {
  const auto exponent = [&](size_t i) { return std::exp(unknowns[kExponent + i]); };
  const auto factor = [&](size_t i) {
    const double growth = i == 1 ? unknowns[kGamma] * problem.typical_log_compression : 0;
    return std::exp(unknowns[kFactor + i] - growth + exponent(i) * std::log(problem.typical[i]));
  };
  const auto offset = [&](size_t i) {
    return problem.count == kMost ? std::exp(unknowns[kOffset + i]) * problem.typical[i] : 0;
  };
  ScalingLaw law;
  law.e0 = std::exp(unknowns[kE0]);
  law.a_token = factor(0), law.a_concept = factor(1), law.a_data = factor(2);
  law.t_token = offset(0), law.t_concept = offset(1), law.t_data = offset(2);
  law.delta1 = exponent(0), law.delta2 = exponent(1), law.alpha = exponent(2);
  law.gamma = unknowns[kGamma];
  return law;
}

void check_spread(const std::vector<ScalingPoint>& points, double ScalingPoint::*member, size_t needed,
                  const char* name) {
  std::set<double> values;
  for (const ScalingPoint& point : points) values.insert(point.*member);
  DLCM_CHECK_INPUT(values.size() >= needed, "scaling law: the records hold ", values.size(), " different ",
                   name, ", at least ", needed, " are needed to tell the terms apart; record more runs");
}

void check_fit_input(const std::vector<ScalingPoint>& points, const ScalingFitOptions& options) {
  for (size_t i = 0; i < points.size(); ++i) {
    check_configuration(points[i], i);
    check_positive(points[i].loss, "scaling law", i, "the loss");
  }
  const size_t needed = options.offsets ? kMost : kMost - 3;
  DLCM_CHECK_INPUT(points.size() >= needed, "scaling law: ", points.size(), " records for ", needed,
                   " coefficients; record at least ", needed, " points");
  check_spread(points, &ScalingPoint::parameters, 2, "sizes N");
  check_spread(points, &ScalingPoint::tokens, 3, "numbers of tokens D");
  check_spread(points, &ScalingPoint::compression, 2, "compressions R");
  check_spread(points, &ScalingPoint::concept_share, 2, "concept shares P");
  DLCM_CHECK_INPUT(std::isfinite(options.huber) && options.huber > 0, "scaling law: the Huber threshold is ",
                   options.huber, "; it must be positive");
  DLCM_CHECK_INPUT(options.starts > 0 && options.finalists > 0 && options.iterations > 0,
                   "scaling law: starts, finalists and iterations must be positive");
}

// --- Eq. 23
// ---------------------------------------------------------------------------------------------------

void check_record(const DecayRecord& record, size_t index) {
  check_positive(record.parameters, "decay law", index, "the parameters");
  check_compression(record.compression, "decay law", index);
  check_positive(record.stable_loss, "decay law", index, "the stable loss");
}

// log L_stable, log R, log N and log Delta of each record.
std::vector<std::array<double, 4>> logarithms_of(const std::vector<DecayRecord>& records) {
  std::vector<std::array<double, 4>> rows;
  for (size_t i = 0; i < records.size(); ++i) {
    const DecayRecord& record = records[i];
    check_record(record, i);
    check_positive(record.decay, "decay law", i, "the decay");
    rows.push_back({std::log(record.stable_loss), std::log(record.compression),
                    std::log(record.parameters / kBillion), std::log(record.decay)});
  }
  return rows;
}

// The slopes of the last column on the first three, by least squares about the means.
Vector regress(const std::vector<std::array<double, 4>>& rows, const std::array<double, 4>& mean) {
  Matrix matrix{};
  Vector right{}, slope{};
  for (const std::array<double, 4>& row : rows) {
    for (size_t i = 0; i < 3; ++i) {
      right[i] += (row[i] - mean[i]) * (row[3] - mean[3]);
      for (size_t j = 0; j <= i; ++j) matrix[i][j] += (row[i] - mean[i]) * (row[j] - mean[j]);
    }
  }
  bool varied = true;  // a spread that is only the rounding of equal logarithms is none
  for (size_t i = 0; i < 3; ++i) varied = varied && matrix[i][i] > 1e-20;
  DLCM_CHECK_INPUT(
      varied && solve(matrix, right, 3, 1e-10, slope),
      "decay law: stable loss, R and N do not vary independently over the records; record runs of "
      "other sizes and compressions");
  return slope;
}

}  // namespace

double ScalingLaw::predict(const ScalingPoint& point) const {
  check_configuration(point, 0);
  const double n = point.parameters / kBillion;
  return e0 + a_token / std::pow(n * (1 - point.concept_share) + t_token, delta1) +
         a_concept * std::pow(point.compression, gamma) /
             std::pow(n * point.concept_share + t_concept, delta2) +
         a_data / std::pow(point.tokens / kBillion + t_data, alpha);
}

ScalingFit fit_scaling_law(const std::vector<ScalingPoint>& points, const ScalingFitOptions& options) {
  check_fit_input(points, options);
  const Problem problem = make_problem(points, options);
  struct Candidate {
    Vector unknowns;
    double objective;
  };
  std::vector<Candidate> candidates;
  for (int64_t start = 0; start < options.starts; ++start) {
    Candidate candidate{draw_start(problem, options.seed, start), 0};
    candidate.objective = descend(problem, candidate.unknowns, std::min<int64_t>(options.iterations, 25));
    candidates.push_back(candidate);
  }
  const auto better = [](const Candidate& a, const Candidate& b) { return a.objective < b.objective; };
  std::stable_sort(candidates.begin(), candidates.end(), better);
  candidates.resize(std::min(candidates.size(), static_cast<size_t>(options.finalists)));
  for (Candidate& candidate : candidates)
    candidate.objective = descend(problem, candidate.unknowns, options.iterations);
  const Candidate& best = *std::min_element(candidates.begin(), candidates.end(), better);

  ScalingFit fit;
  fit.law = law_of(problem, best.unknowns);
  fit.objective = best.objective / static_cast<double>(points.size());
  std::vector<double> recorded, predicted;
  for (const ScalingPoint& point : points) {
    recorded.push_back(point.loss);
    predicted.push_back(fit.law.predict(point));
    fit.largest_error = std::max(fit.largest_error, std::abs(predicted.back() - point.loss));
  }
  fit.r_squared = r_squared(recorded, predicted);
  return fit;
}

double DecayLaw::predict(const DecayRecord& record) const {
  check_record(record, 0);
  return k * std::pow(record.stable_loss, a) * std::pow(record.compression, b) *
         std::pow(record.parameters / kBillion, c);
}

DecayFit fit_decay_law(const std::vector<DecayRecord>& records) {
  DLCM_CHECK_INPUT(records.size() >= 4, "decay law: ", records.size(),
                   " records for 4 coefficients; record at least 4 runs");
  const std::vector<std::array<double, 4>> rows = logarithms_of(records);
  std::array<double, 4> mean{};
  for (const std::array<double, 4>& row : rows)
    for (size_t i = 0; i < 4; ++i) mean[i] += row[i] / static_cast<double>(rows.size());
  const Vector slope = regress(rows, mean);
  const double intercept = mean[3] - slope[0] * mean[0] - slope[1] * mean[1] - slope[2] * mean[2];

  DecayFit fit;
  fit.law = {std::exp(intercept), slope[0], slope[1], slope[2]};
  std::vector<double> recorded, predicted;
  for (const std::array<double, 4>& row : rows) {
    recorded.push_back(row[3]);
    predicted.push_back(intercept + slope[0] * row[0] + slope[1] * row[1] + slope[2] * row[2]);
  }
  fit.r_squared = r_squared(recorded, predicted);
  return fit;
}

}  // namespace dlcm
