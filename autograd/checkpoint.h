// Activation checkpointing (Chen et al., arXiv 1604.06174): forget what a block computed, compute it again in
// backward.
#pragma once

#include <functional>
#include <vector>

#include "autograd/tape.h"

namespace dlcm::autograd {

using Block = std::function<std::vector<Variable>(const std::vector<Variable>& inputs)>;

// Runs block(inputs) without recording it; backward runs it once more on a tape of its own. `block` must be a
// pure function of its inputs and of parameters (which it may capture): random numbers are counter-based
// here, so a second run draws the same. Gradients of captured parameters are added to them directly.
std::vector<Variable> checkpoint(const Block& block, const std::vector<Variable>& inputs);

}  // namespace dlcm::autograd
