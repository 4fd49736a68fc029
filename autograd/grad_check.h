// Gradient check: the tape's gradients against central differences, in float64.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "autograd/tape.h"

namespace dlcm::autograd {

struct GradCheckOptions {
  double step = 1e-6;         // h of (f(x + h) - f(x - h)) / 2h
  double tolerance = 1e-6;    // allowed |tape - difference| / max(1, |difference|)
  int64_t max_elements = 64;  // elements tried per input, evenly spread; all where there are no more
};

struct GradCheckResult {
  bool passed = false;
  double worst = 0;     // largest error, in units of the tolerance
  std::string message;  // input, index, both values of the worst element
};

// `function` maps float64 variables to any number of float64 outputs. Each output is weighted with fixed
// pseudo-random numbers and summed, so that every element of every output takes part. Inputs are perturbed in
// place and restored.
using Function = std::function<std::vector<Variable>(const std::vector<Variable>& inputs)>;
GradCheckResult grad_check(const Function& function, const std::vector<Tensor>& inputs,
                           const GradCheckOptions& options = {});

// The same for parameters that the function captures: `leaves` are perturbed in place and their gradients
// replaced.
GradCheckResult grad_check_leaves(const std::function<std::vector<Variable>()>& function,
                                  const std::vector<Variable>& leaves, const GradCheckOptions& options = {});

}  // namespace dlcm::autograd
