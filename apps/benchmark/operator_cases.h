// One call of every operator at the sizes of a configuration: T = train.micro_tokens tokens in documents of
// train.context, M = about T / R concepts, the widths, heads and vocabulary of the model. What matrix
// products read is of train.dtype.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "apps/common/config.h"
#include "tensor/tensor.h"

namespace dlcm::apps {

struct OperatorCase {
  std::string name;  // "attention, concepts"
  std::string pass;  // "forward" or "backward"
  std::vector<Tensor> inputs;
  std::function<std::vector<Tensor>()> run;  // returns the results
};

// Inputs live only while their cases are visited.
using VisitCase = std::function<void(const OperatorCase&)>;
void visit_operator_cases(const Config& config, const VisitCase& visit);

// Largest scores [heads, T, M] for which the dense cross-attention is among them.
inline constexpr double kMostDenseBytes = 1 << 30;

}  // namespace dlcm::apps
