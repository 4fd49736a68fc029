#include "autograd/grad_check.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tensor/random.h"

namespace dlcm::autograd {
namespace {

Tensor weights_for(const Tensor& output, uint64_t index) {
  Tensor weights = Tensor::empty(output.shape(), DType::f64);
  for (int64_t i = 0; i < weights.numel(); ++i) {
    weights.data<double>()[i] = random_normal(7, RandomStream::tests, index, static_cast<uint64_t>(i));
  }
  return weights;
}

using WeightedOutputs = std::vector<std::pair<Variable, Tensor>>;

double weighted_sum(const std::vector<Variable>& outputs, const WeightedOutputs& weighted) {
  double sum = 0;
  for (size_t index = 0; index < outputs.size(); ++index) {
    const double* value = outputs[index].value().data<double>();
    const Tensor& weights = weighted.at(index).second;
    for (int64_t i = 0; i < weights.numel(); ++i) sum += weights.data<double>()[i] * value[i];
  }
  return sum;
}

// The outputs with their weights; the leaves' gradients are those of the weighted sum afterwards.
WeightedOutputs differentiate(const std::function<std::vector<Variable>()>& function,
                              const std::vector<Variable>& leaves) {
  for (const Variable& leaf : leaves) leaf.slot()->grad = Tensor();
  Tape tape;
  WeightedOutputs outputs;
  {
    const Tape::Recording recording(tape);
    for (const Variable& output : function()) {
      outputs.emplace_back(output, weights_for(output.value(), outputs.size()));
    }
  }
  tape.backward(outputs);
  return outputs;
}

double central_difference(const std::function<double()>& evaluate, double& element, double step) {
  const double original = element;
  element = original + step;
  const double above = evaluate();
  element = original - step;
  const double below = evaluate();
  element = original;
  return (above - below) / (2 * step);
}

}  // namespace

GradCheckResult grad_check_leaves(const std::function<std::vector<Variable>()>& function,
                                  const std::vector<Variable>& leaves, const GradCheckOptions& options) {
  const WeightedOutputs weighted = differentiate(function, leaves);
  const auto evaluate = [&] {
    const NoGrad no_grad;
    return weighted_sum(function(), weighted);
  };
  GradCheckResult result = {true, -1, "no elements"};
  for (size_t leaf = 0; leaf < leaves.size(); ++leaf) {
    const Tensor& value = leaves[leaf].value();
    const Tensor grad = leaves[leaf].grad().defined() ? leaves[leaf].grad() : value.zeros_like();
    const int64_t stride =
        std::max<int64_t>(1, (value.numel() + options.max_elements - 1) / options.max_elements);
    for (int64_t i = 0; i < value.numel(); i += stride) {
      const double expected = central_difference(evaluate, value.data<double>()[i], options.step);
      const double found = grad.data<double>()[i];
      double error = std::abs(found - expected) / std::max(1.0, std::abs(expected)) / options.tolerance;
      if (std::isnan(error)) error = std::numeric_limits<double>::infinity();
      if (error <= result.worst) continue;
      result.worst = error;
      result.message = concat("input ", leaf, " of shape ", value.shape(), ", element ", i, ": tape ", found,
                              ", central difference ", expected, ", ", error, " of the tolerance");
      result.passed = error <= 1.0;
    }
  }
  result.worst = std::max(result.worst, 0.0);
  return result;
}

GradCheckResult grad_check(const Function& function, const std::vector<Tensor>& inputs,
                           const GradCheckOptions& options) {
  std::vector<Variable> leaves;
  for (const Tensor& input : inputs) {
    DLCM_CHECK(input.dtype() == DType::f64, "grad_check: input is ", input.dtype(), ", expected f64");
    leaves.emplace_back(input.clone(), true);
  }
  return grad_check_leaves([&] { return function(leaves); }, leaves, options);
}

}  // namespace dlcm::autograd
