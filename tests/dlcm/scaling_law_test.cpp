#include "dlcm/scaling_law.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <doctest/doctest.h>

#include "dlcm/scaling_allocation.h"
#include "tensor/check.h"
#include "tensor/random.h"

namespace dlcm {
namespace {

ScalingLaw true_law() {
  ScalingLaw law;
  law.e0 = 1.6;
  law.a_token = 0.18, law.a_concept = 0.12, law.a_data = 1.1;
  law.t_token = 0.03, law.t_concept = 0.05, law.t_data = 0.8;
  law.delta1 = 0.35, law.delta2 = 0.3, law.gamma = 0.2, law.alpha = 0.4;
  return law;
}

// The paper's grid (6.2.1) at some moments of each run.
std::vector<ScalingPoint> grid_of(const ScalingLaw& law, const std::vector<double>& sizes) {
  std::vector<ScalingPoint> points;
  for (double size : sizes)
    for (double share : {0.3, 0.5, 0.7})
      for (double compression : {2.0, 4.0, 8.0})
        for (double tokens : {5e9, 20e9, 60e9, 200e9}) {
          points.push_back({size, tokens, compression, share, 0});
          points.back().loss = law.predict(points.back());
        }
  return points;
}

const std::vector<double> paper_sizes = {274e6, 468e6, 833e6};

// Noise of the given relative size, and every 20th record 10 % too high.
void disturb(std::vector<ScalingPoint>& points, double noise) {
  for (size_t i = 0; i < points.size(); ++i) {
    points[i].loss *= 1 + noise * random_normal(3, RandomStream::tests, 0, i);
    if (i % 20 == 7) points[i].loss *= 1.1;
  }
}

// The largest error on configurations between and beyond the grid.
double held_out_error(const ScalingLaw& law, const ScalingLaw& truth) {
  double largest = 0;
  for (double size : {350e6, 1.3e9, 2.3e9})
    for (double share : {0.4, 0.6})
      for (double compression : {3.0, 4.0, 6.0})
        for (double tokens : {100e9, 1000e9}) {
          const ScalingPoint point{size, tokens, compression, share, 0};
          largest = std::max(largest, std::abs(law.predict(point) - truth.predict(point)));
        }
  return largest;
}

TEST_CASE("Eq. 22 by hand, in billions") {
  ScalingLaw law;
  law.e0 = 1;
  law.a_token = 2, law.a_concept = 3, law.a_data = 4;
  law.t_token = 0.5, law.t_concept = 0.75, law.t_data = 6;
  law.delta1 = 1, law.delta2 = 2, law.gamma = 0.5, law.alpha = 0.5;
  // 1 + 2 / (1.5 + 0.5) + 3 sqrt(4) / (0.5 + 0.75)^2 + 4 / sqrt(10 + 6)
  CHECK(law.predict({2e9, 10e9, 4, 0.25, 0}) == doctest::Approx(1 + 1 + 6 / 1.5625 + 1).epsilon(1e-12));
}

TEST_CASE("a law is recovered from its own values, inside the grid and beyond it") {
  const std::vector<ScalingPoint> points = grid_of(true_law(), paper_sizes);
  const ScalingFit fit = fit_scaling_law(points);
  CHECK(fit.objective < 1e-18);
  CHECK(fit.largest_error < 1e-8);
  CHECK(fit.r_squared > 1 - 1e-9);
  CHECK(held_out_error(fit.law, true_law()) < 1e-6);
  CHECK(fit.law.delta1 == doctest::Approx(0.35).epsilon(1e-4));
  CHECK(fit.law.delta2 == doctest::Approx(0.3).epsilon(1e-4));
  CHECK(fit.law.gamma == doctest::Approx(0.2).epsilon(1e-4));
  CHECK(fit.law.alpha == doctest::Approx(0.4).epsilon(1e-4));
  CHECK(fit.law.t_token == doctest::Approx(0.03).epsilon(1e-3));
  CHECK(fit.law.t_data == doctest::Approx(0.8).epsilon(1e-3));
}

TEST_CASE("noise and outliers leave the predictions; least squares would not") {
  std::vector<ScalingPoint> points = grid_of(true_law(), paper_sizes);
  disturb(points, 0.002);
  ScalingFitOptions options;
  const double robust = held_out_error(fit_scaling_law(points, options).law, true_law());
  options.huber = 10;  // wider than every residual
  const double squares = held_out_error(fit_scaling_law(points, options).law, true_law());
  CHECK(robust < 0.02);
  CHECK(squares > 4 * robust);
}

TEST_CASE("without offsets and over a range of sizes the exponents are found") {
  ScalingLaw truth = true_law();
  truth.t_token = truth.t_concept = truth.t_data = 0;
  std::vector<ScalingPoint> points = grid_of(truth, {50e6, 200e6, 800e6, 3200e6});
  disturb(points, 0.001);
  ScalingFitOptions options;
  options.offsets = false;
  const ScalingFit fit = fit_scaling_law(points, options);
  CHECK(fit.law.t_token == 0);
  CHECK(fit.law.t_data == 0);
  CHECK(fit.law.delta1 == doctest::Approx(truth.delta1).epsilon(0.1));
  CHECK(fit.law.delta2 == doctest::Approx(truth.delta2).epsilon(0.1));
  CHECK(fit.law.gamma == doctest::Approx(truth.gamma).epsilon(0.1));
  CHECK(fit.law.alpha == doctest::Approx(truth.alpha).epsilon(0.1));
  CHECK(fit.law.e0 == doctest::Approx(truth.e0).epsilon(0.05));
  CHECK(held_out_error(fit.law, truth) < 0.01);
}

TEST_CASE("the report describes the fit; the same seed fits the same law") {
  std::vector<ScalingPoint> points = grid_of(true_law(), {274e6, 833e6});
  disturb(points, 0.002);
  ScalingFitOptions options;
  options.starts = 6;
  const ScalingFit fit = fit_scaling_law(points, options);
  double largest = 0, objective = 0, residual = 0, total = 0, mean = 0;
  for (const ScalingPoint& point : points) mean += point.loss / static_cast<double>(points.size());
  for (const ScalingPoint& point : points) {
    const double error = fit.law.predict(point) - point.loss;
    const double size = std::abs(std::log(fit.law.predict(point) / point.loss));
    objective += size < 1e-3 ? size * size / 2 : 1e-3 * (size - 5e-4);
    largest = std::max(largest, std::abs(error));
    residual += error * error;
    total += (point.loss - mean) * (point.loss - mean);
  }
  CHECK(fit.largest_error == largest);
  CHECK(fit.objective == doctest::Approx(objective / static_cast<double>(points.size())).epsilon(1e-9));
  CHECK(fit.r_squared == doctest::Approx(1 - residual / total).epsilon(1e-9));

  const ScalingLaw again = fit_scaling_law(points, options).law;
  CHECK(again.delta1 == fit.law.delta1);
  CHECK(again.t_data == fit.law.t_data);
}

TEST_CASE("the fit is a minimum: moving any coefficient raises the objective") {
  std::vector<ScalingPoint> points = grid_of(true_law(), paper_sizes);
  disturb(points, 0.002);
  const ScalingFit fit = fit_scaling_law(points);
  for (double ScalingLaw::*member :
       {&ScalingLaw::e0, &ScalingLaw::a_token, &ScalingLaw::a_concept, &ScalingLaw::a_data,
        &ScalingLaw::t_token, &ScalingLaw::t_concept, &ScalingLaw::t_data, &ScalingLaw::delta1,
        &ScalingLaw::delta2, &ScalingLaw::gamma, &ScalingLaw::alpha}) {
    for (double factor : {0.98, 1.02}) {
      ScalingLaw moved = fit.law;
      moved.*member *= factor;
      double objective = 0;
      for (const ScalingPoint& point : points) {
        const double size = std::abs(std::log(moved.predict(point) / point.loss));
        objective += size < 1e-3 ? size * size / 2 : 1e-3 * (size - 5e-4);
      }
      CHECK(objective / static_cast<double>(points.size()) > fit.objective * (1 - 1e-6));
    }
  }
}

TEST_CASE("the scaling law refuses records it cannot be fitted to") {
  const std::vector<ScalingPoint> good = grid_of(true_law(), paper_sizes);
  const auto refuses = [&](size_t index, double ScalingPoint::*member, double value) {
    std::vector<ScalingPoint> points = good;
    points[index].*member = value;
    CHECK_THROWS_AS(fit_scaling_law(points), InputError);
  };
  refuses(3, &ScalingPoint::loss, 0);
  refuses(3, &ScalingPoint::loss, std::numeric_limits<double>::quiet_NaN());
  refuses(0, &ScalingPoint::parameters, -1);
  refuses(0, &ScalingPoint::tokens, std::numeric_limits<double>::infinity());
  refuses(0, &ScalingPoint::compression, 0.5);
  refuses(0, &ScalingPoint::concept_share, 1);

  CHECK_THROWS_WITH_AS(fit_scaling_law({good.begin(), good.begin() + 10}),
                       "scaling law: 10 records for 11 coefficients; record at least 11 points", InputError);
  CHECK_THROWS_WITH_AS(fit_scaling_law({good.begin(), good.begin() + 36}),
                       "scaling law: the records hold 1 different sizes N, at least 2 are needed to tell the "
                       "terms apart; record more runs",
                       InputError);
  CHECK_THROWS_AS(true_law().predict({1e9, 0, 4, 0.5, 0}), InputError);
}

std::vector<DecayRecord> decay_records(const DecayLaw& law, double noise) {
  std::vector<DecayRecord> records;
  for (double size : paper_sizes)
    for (double compression : {2.0, 4.0, 8.0}) {
      const double stable =
          2.9 - 0.2 * std::log(size / 1e9) + 0.05 * random_normal(1, RandomStream::tests, 1, records.size());
      records.push_back({size, compression, stable, 0});
      records.back().decay = law.predict(records.back()) *
                             std::exp(noise * random_normal(1, RandomStream::tests, 2, records.size()));
    }
  return records;
}

TEST_CASE("Eq. 23 is recovered by log-linear regression") {
  const DecayLaw truth{0.02, 1.4, -0.15, 0.2};
  const DecayFit exact = fit_decay_law(decay_records(truth, 0));
  CHECK(exact.law.k == doctest::Approx(truth.k).epsilon(1e-8));
  CHECK(exact.law.a == doctest::Approx(truth.a).epsilon(1e-8));
  CHECK(exact.law.b == doctest::Approx(truth.b).epsilon(1e-8));
  CHECK(exact.law.c == doctest::Approx(truth.c).epsilon(1e-8));
  CHECK(exact.r_squared == doctest::Approx(1).epsilon(1e-12));

  const DecayFit noisy = fit_decay_law(decay_records(truth, 0.02));
  CHECK(noisy.r_squared > 0.9);
  CHECK(noisy.r_squared < 1);
  const DecayRecord held_out{600e6, 3, 3.0, 0};
  CHECK(noisy.law.predict(held_out) == doctest::Approx(truth.predict(held_out)).epsilon(0.05));
}

TEST_CASE("the decay law refuses records it cannot be fitted to") {
  std::vector<DecayRecord> records = decay_records({0.02, 1.4, -0.15, 0.2}, 0);
  CHECK_THROWS_AS(fit_decay_law({records.begin(), records.begin() + 3}), InputError);
  records[4].decay = -0.01;
  CHECK_THROWS_AS(fit_decay_law(records), InputError);
  records[4].decay = 0.02;
  for (DecayRecord& record : records) record.compression = 3;
  CHECK_THROWS_AS(fit_decay_law(records), InputError);
  // N a power of R: their exponents cannot be told apart.
  for (size_t i = 0; i < records.size(); ++i) {
    records[i].compression = 2 + static_cast<double>(i);
    records[i].parameters = 1e8 * std::pow(records[i].compression, 1.5);
  }
  CHECK_THROWS_AS(fit_decay_law(records), InputError);
}

TEST_CASE("training FLOPs per token: backbone parameters meet one row in R") {
  CHECK(scaling_flops_per_token(1e9, 4, 0.5) == doctest::Approx(6 * (0.5e9 + 0.125e9)));
  CHECK(scaling_flops_per_token(1e9, 1, 0.3) == doctest::Approx(6e9));
}

TEST_CASE("the best allocation is the least of a fine grid and spends the budget") {
  const ScalingLaw law = true_law();
  const double budget = 3e20;
  for (double compression : {2.0, 4.0, 8.0}) {
    const Allocation best = best_allocation(law, budget, compression);
    double least = std::numeric_limits<double>::infinity(), share = 0, size = 0;
    for (int i = 1; i < 100; ++i) {
      for (int j = 0; j < 200; ++j) {
        const double p = 0.01 * i, n = 1e8 * std::pow(10, 0.01 * j);
        const double loss =
            law.predict({n, budget / scaling_flops_per_token(n, compression, p), compression, p, 0});
        if (loss < least) least = loss, share = p, size = n;
      }
    }
    CHECK(best.loss <= least);
    CHECK(best.loss > least - 1e-4);
    CHECK(best.concept_share == doctest::Approx(share).epsilon(0.04));
    CHECK(best.parameters == doctest::Approx(size).epsilon(0.06));
    CHECK(best.tokens * best.flops_per_token == doctest::Approx(budget));
    CHECK(best.loss == law.predict({best.parameters, best.tokens, compression, best.concept_share, 0}));
    CHECK_FALSE(best.at_limit);
  }
}

// Without offsets the concept term is A R^(gamma - delta2) / V^delta2 with V = N P / R, the backbone
// parameters that a token pays for. So gamma decides what compression is worth.
TEST_CASE("the best allocation follows the compression as the law says") {
  ScalingLaw law = true_law();
  law.t_token = law.t_concept = law.t_data = 0;
  law.gamma = law.delta2;  // neutral: the backbone grows with R, everything else stays
  const Allocation at_2 = best_allocation(law, 3e20, 2), at_8 = best_allocation(law, 3e20, 8);
  CHECK(at_8.loss == doctest::Approx(at_2.loss).epsilon(1e-9));
  CHECK(at_8.flops_per_token == doctest::Approx(at_2.flops_per_token).epsilon(1e-3));
  CHECK(at_8.parameters * at_8.concept_share ==
        doctest::Approx(4 * at_2.parameters * at_2.concept_share).epsilon(1e-3));
  CHECK(at_8.concept_share > at_2.concept_share);

  law.gamma = 0.1;  // compression costs less than it saves
  CHECK(best_allocation(law, 3e20, 8).loss < best_allocation(law, 3e20, 2).loss - 1e-3);
  law.gamma = 0.6;  // and more
  CHECK(best_allocation(law, 3e20, 8).loss > best_allocation(law, 3e20, 2).loss + 1e-3);
}

TEST_CASE("more budget buys a larger model and more tokens; a range that is too narrow is reported") {
  const Allocation small = best_allocation(true_law(), 1e19, 4), large = best_allocation(true_law(), 1e21, 4);
  CHECK(large.parameters > small.parameters);
  CHECK(large.tokens > small.tokens);
  CHECK(large.loss < small.loss);

  AllocationOptions options;
  options.most_parameters = 1e8;
  const Allocation narrow = best_allocation(true_law(), 1e21, 4, options);
  CHECK(narrow.at_limit);
  CHECK(narrow.parameters == doctest::Approx(1e8));

  CHECK_THROWS_AS(best_allocation(true_law(), 0, 4), InputError);
  CHECK_THROWS_AS(best_allocation(true_law(), 1e20, 0.5), InputError);
  options.fewest_parameters = 1e9;
  CHECK_THROWS_AS(best_allocation(true_law(), 1e20, 4, options), InputError);
}

}  // namespace
}  // namespace dlcm
