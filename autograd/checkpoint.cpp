#include "autograd/checkpoint.h"

namespace dlcm::autograd {
namespace {

std::vector<Tensor> values_of(const std::vector<Variable>& variables) {
  std::vector<Tensor> values;
  values.reserve(variables.size());
  for (const Variable& variable : variables) values.push_back(variable.value());
  return values;
}

// Runs the block again on leaves that hold the saved inputs, replays that tape, and hands the leaves'
// gradients back.
std::vector<Tensor> recompute(const Block& block, size_t inputs, size_t outputs,
                              const BackwardContext& context) {
  std::vector<Variable> leaves;
  for (size_t i = 0; i < inputs; ++i) leaves.emplace_back(context.saved(i), context.needs(i));
  Tape tape;
  std::vector<Variable> results;
  {
    const Tape::Recording recording(tape);
    results = block(leaves);
  }
  std::vector<std::pair<Variable, Tensor>> roots;
  for (size_t i = 0; i < outputs; ++i) roots.emplace_back(results.at(i), context.gradient(i));
  results.clear();
  tape.backward(roots);
  std::vector<Tensor> gradients;
  for (const Variable& leaf : leaves) gradients.push_back(leaf.grad());
  return gradients;
}

}  // namespace

std::vector<Variable> checkpoint(const Block& block, const std::vector<Variable>& inputs) {
  std::vector<Tensor> outputs;
  {
    const NoGrad no_grad;
    outputs = values_of(block(inputs));
  }
  if (Tape::active() == nullptr) {
    std::vector<Variable> results;
    for (Tensor& output : outputs) results.emplace_back(std::move(output));
    return results;
  }
  // A block whose inputs need no gradient may still hold parameters that do: an input of no elements that
  // needs one makes the node run.
  std::vector<Variable> recorded = inputs;
  recorded.emplace_back(Tensor::zeros({0}), true);
  const size_t count = outputs.size();
  return record_many("checkpoint", recorded, std::move(outputs), values_of(inputs),
                     [block, inputs = inputs.size(), count](const BackwardContext& context) {
                       std::vector<Tensor> gradients = recompute(block, inputs, count, context);
                       gradients.emplace_back();
                       return gradients;
                     });
}

}  // namespace dlcm::autograd
