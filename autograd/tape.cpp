#include "autograd/tape.h"

#include <algorithm>
#include <set>

#include "tensor/ops/elementwise.h"

namespace dlcm::autograd {
namespace {

// The one piece of state beside the device: which tape this thread records on.
Tape*& active_tape() {
  static thread_local Tape* tape = nullptr;
  return tape;
}

// Adds a gradient to its place. The first one is taken as it is; a tensor that others hold too is never
// written to.
void accumulate(Slot& slot, const Tensor& gradient) {
  if (!slot.grad.defined()) {
    slot.grad = gradient;
  } else if (slot.grad.unique()) {
    ops::add_into(slot.grad, gradient);
  } else {
    slot.grad = ops::add(slot.grad, gradient);
  }
}

void check_gradient(const Node& node, size_t index, const Tensor& gradient) {
  const Slot& slot = *node.inputs[index];
  DLCM_CHECK(gradient.dtype() == slot.dtype, node.name, ": gradient of input ", index, " is ",
             gradient.dtype(), ", expected ", slot.dtype);
}

void run(const Node& node) {
  const std::vector<Tensor> gradients = node.backward(BackwardContext(node.saved, node.inputs, node.outputs));
  DLCM_CHECK(gradients.size() == node.inputs.size(), node.name, ": backward returned ", gradients.size(),
             " gradients for ", node.inputs.size(), " inputs");
  for (size_t i = 0; i < gradients.size(); ++i) {
    if (!gradients[i].defined() || !node.inputs[i]->requires_grad) continue;
    check_gradient(node, i, gradients[i]);
    accumulate(*node.inputs[i], ops::sum_to(gradients[i], node.inputs[i]->shape, node.name));
  }
}

bool any_gradient(const Node& node) {
  return std::any_of(node.outputs.begin(), node.outputs.end(),
                     [](const std::shared_ptr<Slot>& output) { return output->grad.defined(); });
}

}  // namespace

Variable::Variable(Tensor value, bool requires_grad)
    : value_(std::move(value)), slot_(std::make_shared<Slot>()) {
  slot_->shape = value_.shape();
  // A value of bf16 is an operand rounded from a float32; its gradient is a sum like any other.
  slot_->dtype = value_.dtype() == DType::bf16 ? DType::f32 : value_.dtype();
  slot_->device = value_.device();
  slot_->requires_grad = requires_grad;
}

Tensor BackwardContext::gradient(size_t index) const {
  const Slot& slot = *outputs_.at(index);
  return slot.grad.defined() ? slot.grad : Tensor::zeros(slot.shape, slot.dtype, slot.device);
}

Tape::Recording::Recording(Tape* tape) : outer_(active_tape()) {
  active_tape() = tape;
}
Tape::Recording::~Recording() {
  active_tape() = outer_;
}

Tape* Tape::active() {
  return active_tape();
}

void Tape::backward(const std::vector<Root>& roots) {
  std::vector<std::pair<Variable, Tensor>> seeded;
  for (const Root& root : roots) {
    const Tensor& value = root.value.value();
    seeded.emplace_back(root.value, Tensor::full(value.shape(), root.seed, value.dtype(), value.device()));
  }
  backward(seeded);
}

void Tape::backward(const std::vector<std::pair<Variable, Tensor>>& roots) {
  const NoGrad
      no_grad;  // backward functions may call differentiable operators; nothing of that is to be recorded
  for (const auto& [root, gradient] : roots) {
    DLCM_CHECK(root.shape() == gradient.shape(), "backward: the root has shape ", root.shape(),
               ", its gradient ", gradient.shape());
    if (root.requires_grad()) accumulate(*root.slot(), gradient);
  }
  while (!nodes_.empty()) {
    const Node node = std::move(nodes_.back());
    nodes_.pop_back();
    if (any_gradient(node)) run(node);
    for (const auto& output : node.outputs) output->grad = Tensor();
  }
}

int64_t Tape::saved_bytes() const {
  std::set<const void*> seen;
  int64_t bytes = 0;
  for (const Node& node : nodes_) {
    for (const Tensor& tensor : node.saved) {
      if (tensor.defined() && seen.insert(tensor.raw_data()).second)
        bytes += static_cast<int64_t>(tensor.bytes());
    }
  }
  return bytes;
}

Variable record(const char* name, std::initializer_list<Variable> inputs, Tensor output,
                std::vector<Tensor> saved, BackwardFunction backward) {
  return record_many(name, inputs, {std::move(output)}, std::move(saved), std::move(backward)).front();
}

std::vector<Variable> record_many(const char* name, const std::vector<Variable>& inputs,
                                  std::vector<Tensor> outputs, std::vector<Tensor> saved,
                                  BackwardFunction backward) {
  const bool needed =
      Tape::active() != nullptr &&
      std::any_of(inputs.begin(), inputs.end(), [](const Variable& input) { return input.requires_grad(); });
  std::vector<Variable> results;
  results.reserve(outputs.size());
  for (Tensor& output : outputs) results.emplace_back(std::move(output), needed);
  if (!needed) return results;
  Node node = {name, {}, {}, std::move(saved), std::move(backward)};
  for (const Variable& input : inputs) node.inputs.push_back(input.slot());
  for (const Variable& result : results) node.outputs.push_back(result.slot());
  Tape::active()->append(std::move(node));
  return results;
}

}  // namespace dlcm::autograd
