#include "dlcm/scaling_allocation.h"

#include <algorithm>
#include <cmath>

#include "tensor/check.h"

namespace dlcm {
namespace {

// The minimiser of `function` on [low, high]: the best of grid + 1 points, then golden section around it.
template <class Function>
double minimise(double low, double high, int64_t grid, const Function& function) {
  const double width = (high - low) / static_cast<double>(grid);
  double best = low, least = function(low);
  for (int64_t i = 1; i <= grid; ++i) {
    const double at = i == grid ? high : low + width * static_cast<double>(i);
    const double value = function(at);
    if (value < least) best = at, least = value;
  }
  const double ratio = 0.5 * (std::sqrt(5.0) - 1);
  double left = std::max(low, best - width), right = std::min(high, best + width);
  double inner_left = right - ratio * (right - left), inner_right = left + ratio * (right - left);
  double value_left = function(inner_left), value_right = function(inner_right);
  for (int i = 0; i < 40; ++i) {  // the bracket shrinks by 4e-9, finer than a minimum can be told
    if (value_left <= value_right) {
      right = inner_right, inner_right = inner_left, value_right = value_left;
      inner_left = right - ratio * (right - left), value_left = function(inner_left);
    } else {
      left = inner_left, inner_left = inner_right, value_left = value_right;
      inner_right = left + ratio * (right - left), value_right = function(inner_right);
    }
  }
  const double found = value_left <= value_right ? inner_left : inner_right;
  return std::min(value_left, value_right) < least ? found : best;
}

}  // namespace

double scaling_flops_per_token(double parameters, double compression, double concept_share) {
  return 6 * (parameters * (1 - concept_share) + parameters * concept_share / compression);
}

Allocation best_allocation(const ScalingLaw& law, double flops_budget, double compression,
                           const AllocationOptions& options) {
  DLCM_CHECK_INPUT(std::isfinite(flops_budget) && flops_budget > 0, "allocation: the budget is ",
                   flops_budget, " FLOPs; it must be a positive number");
  DLCM_CHECK_INPUT(std::isfinite(compression) && compression >= 1, "allocation: the compression is ",
                   compression, "; tokens per concept are at least 1");
  DLCM_CHECK_INPUT(0 < options.smallest_share && options.smallest_share < options.largest_share &&
                       options.largest_share < 1,
                   "allocation: the range of concept shares must be rising, between 0 and 1");
  DLCM_CHECK_INPUT(0 < options.fewest_parameters && options.fewest_parameters < options.most_parameters &&
                       std::isfinite(options.most_parameters) && options.grid > 0,
                   "allocation: the range of parameters must be rising and positive, the grid positive");
  const double low = std::log(options.fewest_parameters), high = std::log(options.most_parameters);
  const auto loss_of = [&](double share, double log_parameters) {
    const double parameters = std::exp(log_parameters);
    const double tokens = flops_budget / scaling_flops_per_token(parameters, compression, share);
    return law.predict({parameters, tokens, compression, share, 0});
  };
  const auto best_size = [&](double share) {
    return minimise(low, high, options.grid,
                    [&](double log_parameters) { return loss_of(share, log_parameters); });
  };
  const double share = minimise(options.smallest_share, options.largest_share, options.grid,
                                [&](double at) { return loss_of(at, best_size(at)); });
  const double log_parameters = best_size(share);
  const double share_margin = 1e-6 * (options.largest_share - options.smallest_share);
  const double size_margin = 1e-6 * (high - low);

  Allocation best;
  best.parameters = std::exp(log_parameters);
  best.concept_share = share;
  best.flops_per_token = scaling_flops_per_token(best.parameters, compression, share);
  best.tokens = flops_budget / best.flops_per_token;
  best.loss = loss_of(share, log_parameters);
  best.at_limit = share < options.smallest_share + share_margin ||
                  share > options.largest_share - share_margin || log_parameters < low + size_margin ||
                  log_parameters > high - size_margin;
  return best;
}

}  // namespace dlcm
