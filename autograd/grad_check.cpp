#include "autograd/grad_check.h"

#include <algorithm>
#include <cmath>

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

double weighted_sum(const std::vector<Variable>& outputs) {
  double sum = 0;
  for (size_t index = 0; index < outputs.size(); ++index) {
    const Tensor& value = outputs[index].value();
    const Tensor weights = weights_for(value, index);
    for (int64_t i = 0; i < value.numel(); ++i) sum += weights.data<double>()[i] * value.data<double>()[i];
  }
  return sum;
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
  Tape tape;
  std::vector<std::pair<Variable, Tensor>> roots;
  {
    const Tape::Recording recording(tape);
    for (const Variable& output : function())
      roots.emplace_back(output, weights_for(output.value(), roots.size()));
  }
  tape.backward(roots);
  const auto evaluate = [&] {
    const NoGrad no_grad;
    return weighted_sum(function());
  };
  GradCheckResult result = {true, 0, "no elements"};
  for (size_t leaf = 0; leaf < leaves.size(); ++leaf) {
    const Tensor& value = leaves[leaf].value();
    const Tensor grad = leaves[leaf].grad().defined() ? leaves[leaf].grad() : value.zeros_like();
    const int64_t stride = std::max<int64_t>(1, value.numel() / options.max_elements);
    for (int64_t i = 0; i < value.numel(); i += stride) {
      const double expected = central_difference(evaluate, value.data<double>()[i], options.step);
      const double found = grad.data<double>()[i];
      const double error = std::abs(found - expected) / std::max(1.0, std::abs(expected)) / options.tolerance;
      if (error <= result.worst) continue;  // NaN falls through
      result.worst = error;
      result.message = concat("input ", leaf, " of shape ", value.shape(), ", element ", i, ": tape ", found,
                              ", central difference ", expected, ", ", error, " of the tolerance");
      if (!(error <= 1.0)) result.passed = false;
    }
  }
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
