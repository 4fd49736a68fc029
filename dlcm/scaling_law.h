// The compression-aware scaling laws of the paper (6.2-6.4), fitted to records of runs.
// scaling_allocation.h uses them backwards.
//
// Eq. 22, the loss of a whole run in nats per token:
//   L(N, D, R, P) = E0 + A_token / (N (1 - P) + t_token)^delta1
//                      + A_concept R^gamma / (N P + t_concept)^delta2
//                      + A_data / (D + t_data)^alpha
// N parameters, D training tokens, R tokens per concept, P the share of N in the concept backbone.
// Eq. 23, what the decay of the rate still gains:
//   Delta_decay = k L_stable^a R^b N^c
// Records hold plain counts. Coefficients hold for counts in billions (1e9), which keeps them near 1: A_token
// is the term's value at one billion token parameters, t_token is in billions of parameters, t_data of
// tokens.
//
// All coefficients are shared by all records, sizes and compressions: one joint fit. The paper shares the
// exponents and lets "scale-independent offset terms" vary between configurations; here these are shared too,
// so that the law also holds for configurations that were not run. The paper favours late tokens; which
// points of a run are recorded is left to the caller.
#pragma once

#include <cstdint>
#include <vector>

namespace dlcm {

// One run, or one moment of it.
struct ScalingPoint {
  double parameters = 0;     // N > 0, a count
  double tokens = 0;         // D > 0, a count
  double compression = 0;    // R >= 1, tokens per concept
  double concept_share = 0;  // P, strictly between 0 and 1
  double loss = 0;           // nats per token, > 0; predictions do not read it
};

// Eq. 22; the names are the paper's.
struct ScalingLaw {
  double e0 = 0;
  double a_token = 0, a_concept = 0, a_data = 0;
  double t_token = 0, t_concept = 0, t_data = 0;
  double delta1 = 0, delta2 = 0, gamma = 0, alpha = 0;

  // Nats per token. InputError if the point is out of the ranges above.
  double predict(const ScalingPoint& point) const;
};

struct ScalingFitOptions {
  double huber = 1e-3;    // residuals of log L beyond it count linearly (Chinchilla, arXiv:2203.15556, D.2)
  bool offsets = true;    // false: t_token = t_concept = t_data = 0, 8 coefficients in place of 11
  int64_t starts = 48;    // from which a short descent begins
  int64_t finalists = 4;  // the best of them, which are followed to the end
  int64_t iterations = 600;  // at most, for a finalist
  uint64_t seed = 0;         // of the starts; the same seed gives the same law
};

struct ScalingFit {
  ScalingLaw law;
  double r_squared = 0;      // of the losses, over all points, outliers included
  double largest_error = 0;  // the largest |predicted - recorded|, nats per token
  double objective = 0;      // the Huber loss of log predicted - log recorded, mean over the points
};

// Minimises the mean Huber loss of the residuals of log L by Levenberg-Marquardt with analytic derivatives,
// from many starts. E0, factors, offsets and delta1, delta2, alpha are positive (their logarithms are
// fitted); gamma has either sign. Exponents lie in [0.001, 10], gamma in [-10, 10]; an offset is at most ten
// times the typical (geometric mean) size it is added to. InputError if a value is out of range, if there are
// fewer points than coefficients, or if there are fewer than 2 different N, R or P, or 3 different D: the
// terms could not be told apart. With little spread of N the exponents and offsets are loosely determined
// even where the predictions are good.
ScalingFit fit_scaling_law(const std::vector<ScalingPoint>& points, const ScalingFitOptions& options = {});

// One run that ended with a decay of the rate.
struct DecayRecord {
  double parameters = 0;   // N > 0, a count
  double compression = 0;  // R >= 1
  double stable_loss = 0;  // L_stable > 0, the loss when the decay begins, nats per token
  double decay = 0;  // Delta > 0, the share of it lost from 90 % to 99 % of the tokens: 1 - L(99 %) / L(90 %)
};

// Eq. 23; the names are the paper's, k holds for N in billions.
struct DecayLaw {
  double k = 0, a = 0, b = 0, c = 0;

  // Delta, a fraction. InputError if the record is out of the ranges above; `decay` is not read.
  double predict(const DecayRecord& record) const;
};

struct DecayFit {
  DecayLaw law;
  double r_squared = 0;  // of log Delta, which the regression is of
};

// Least squares of log Delta on log L_stable, log R and log N. InputError if a value is out of range, with
// fewer than 4 records, or if those three logarithms do not vary independently.
DecayFit fit_decay_law(const std::vector<DecayRecord>& records);

}  // namespace dlcm
