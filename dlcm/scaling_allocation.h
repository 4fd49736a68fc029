// The scaling law of Eq. 22 used backwards (paper, 6.3): the model size and the concept backbone's share of
// it that a training budget is best spent on.
#pragma once

#include <cstdint>

#include "dlcm/scaling_law.h"

namespace dlcm {

struct AllocationOptions {
  double smallest_share = 0.01, largest_share = 0.99;      // P
  double fewest_parameters = 1e6, most_parameters = 1e13;  // N
  int64_t grid = 48;  // cells into which each range is cut before the search within the best
};

struct Allocation {
  double parameters = 0;       // N
  double concept_share = 0;    // P
  double tokens = 0;           // D, what the budget buys
  double flops_per_token = 0;  // training
  double loss = 0;             // predicted
  bool at_limit = false;  // N or P is at the end of its range: the law asks for more than the options allow
};

// Training FLOPs per token: 6 (N (1 - P) + N P / R). A parameter costs 2 FLOPs forward and 4 backward for
// each row it meets: token parameters meet every token, backbone parameters one row in R. Attention's scores
// are not counted (cost.h counts them for a given model).
double scaling_flops_per_token(double parameters, double compression, double concept_share);

// The N and P with the least predicted loss when all of `flops_budget` is spent, D = budget / FLOPs per
// token: a grid over P and within it over log N, then golden section in the best cell of each. Deterministic.
// InputError if the budget or R is out of range or the options are empty ranges.
Allocation best_allocation(const ScalingLaw& law, double flops_budget, double compression,
                           const AllocationOptions& options = {});

}  // namespace dlcm
