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

void run(Node& node) {
  const std::vector<Tensor> gradients = node.backward(BackwardContext(node.saved, node.inputs, node.outputs));
  DLCM_CHECK(gradients.size() == node.inputs.size(), node.name, ": backward returned ", gradients.size(),
             " gradients for ", node.inputs.size(), " inputs");
  for (size_t i = 0; i < gradients.size(); ++i) {
    if (!gradients[i].defined() || !node.inputs[i]->requires_grad) continue;
    check_gradient(node, i, gradients[i]);
    accumulate(*node.inputs[i], ops::sum_to(gradients[i], node.inputs[i]->shape, node.name));
  }
}

Saved kept_of(Tensor tensor, const std::vector<Variable>& inputs) {
  for (const Variable& input : inputs) {
    const bool same = tensor.defined() && input.defined() && tensor.raw_data() == input.value().raw_data() &&
                      tensor.shape() == input.shape();
    if (same && input.recipe()) return {Tensor(), input.recipe()};
  }
  return {std::move(tensor), nullptr};
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

Variable Variable::in_place_of(Tensor value) const {
  DLCM_CHECK(value.shape() == shape(), "variable: a value of shape ", value.shape(),
             " in place of one of shape ", shape());
  Variable other = *this;
  other.value_ = std::move(value);
  return other;
}

Variable Variable::with_recipe(std::function<Tensor()> make) const {
  Variable result = *this;
  if (requires_grad()) result.recipe_ = std::make_shared<Recipe>(std::move(make));
  return result;
}

Tensor BackwardContext::gradient(size_t index) const {
  const Slot& slot = *outputs_.at(index);
  return slot.grad.defined() ? slot.grad : Tensor::zeros(slot.shape, slot.dtype, slot.device);
}

Tensor BackwardContext::take_gradient(size_t index) const {
  return std::exchange(outputs_.at(index)->grad, Tensor());
}

Tensor BackwardContext::gathered(size_t index) const {
  const Tensor& sum = inputs_.at(index)->grad;
  return sum.defined() && sum.unique() ? sum : Tensor();
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
    const Slot& slot = *root.value.slot();
    seeded.emplace_back(root.value, Tensor::full(slot.shape, root.seed, slot.dtype, slot.device));
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
    Node node = std::move(nodes_.back());
    nodes_.pop_back();
    if (any_gradient(node)) run(node);
    for (const auto& output : node.outputs) output->grad = Tensor();
  }
}

int64_t Tape::saved_bytes() const {
  std::set<const void*> seen;
  int64_t bytes = 0;
  for (const Node& node : nodes_) {
    for (const Saved& saved : node.saved) {
      const Tensor& tensor = saved.tensor;
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
  Node node = {name, {}, {}, {}, std::move(backward)};
  for (Tensor& tensor : saved) node.saved.push_back(kept_of(std::move(tensor), inputs));
  for (const Variable& input : inputs) node.inputs.push_back(input.slot());
  for (const Variable& result : results) node.outputs.push_back(result.slot());
  Tape::active()->append(std::move(node));
  return results;
}

}  // namespace dlcm::autograd
