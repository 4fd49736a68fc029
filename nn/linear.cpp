#include "nn/linear.h"

#include "autograd/ops.h"

namespace dlcm::nn {

Variable linear(const Variable& x, const Parameter& weight) {
  if (weight.packed().defined()) return Variable(ops::linear(x.value(), weight.packed()));
  return autograd::linear(x, weight.operand());
}

std::vector<Variable> linear_many(const Variable& x, std::initializer_list<const Parameter*> weights) {
  std::vector<Variable> results;
  std::vector<const ops::PackedWeight*> packed;
  for (const Parameter* weight : weights) {
    if (weight->packed().defined()) packed.push_back(&weight->packed());
  }
  if (packed.size() == weights.size()) {
    for (Tensor& y : ops::linear_many(x.value(), packed)) results.emplace_back(std::move(y));
  } else {
    for (const Parameter* weight : weights) results.push_back(linear(x, *weight));
  }
  return results;
}

}  // namespace dlcm::nn
