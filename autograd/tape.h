// Tape: reverse-mode differentiation by replaying a list backwards.
//
//   Tape tape;
//   Variable loss;
//   {
//     const Tape::Recording recording(tape);
//     loss = model.forward(batch);
//   }
//   tape.backward({{loss, 1.0}});
//
// Operators append nodes to the tape that records in their thread; the order of the list is already a
// topological order, so backward() is a loop, with no recursion and no sorting. A node lists the tensors it
// saved and lets go of them as soon as it has run. Kernels overwrite; the engine accumulates (an operator may
// do that in place: gathered), sums broadcast dimensions and checks count, shape and dtype of what an
// operator returns, naming the operator.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <vector>

#include "autograd/variable.h"

namespace dlcm::autograd {

// What a node keeps for backward: a tensor, or how to make it again.
struct Saved {
  Tensor tensor;
  std::shared_ptr<Recipe> recipe;  // null where the tensor is kept
  const Tensor& value() const { return recipe ? recipe->value() : tensor; }
};

// What an operator's backward function sees.
class BackwardContext {
 public:
  BackwardContext(std::vector<Saved>& saved, const std::vector<std::shared_ptr<Slot>>& inputs,
                  const std::vector<std::shared_ptr<Slot>>& outputs)
      : saved_(saved), inputs_(inputs), outputs_(outputs) {}

  const Tensor& saved(size_t index) const { return saved_.at(index).value(); }
  // The same, which the node lets go of: where it is unique(), the operator may write over it.
  Tensor take_saved(size_t index) const {
    const Saved taken = std::exchange(saved_.at(index), {});
    return taken.value();
  }
  // Gradient of the output `index`; zeros where nothing downstream used that output.
  Tensor gradient(size_t index = 0) const;
  // Likewise let go of by the tape. Undefined where nothing downstream used that output.
  Tensor take_gradient(size_t index = 0) const;
  // The gradient of input `index` as gathered so far, where the operator may add to it in place, and then
  // returns an undefined tensor for that input; undefined where there is none or others hold it.
  Tensor gathered(size_t index) const;
  // Whether the gradient of input `index` will be used; an operator may return an undefined tensor where it
  // is not.
  bool needs(size_t index) const { return inputs_.at(index)->requires_grad; }

 private:
  std::vector<Saved>& saved_;
  const std::vector<std::shared_ptr<Slot>>& inputs_;
  const std::vector<std::shared_ptr<Slot>>& outputs_;
};

// Returns one gradient per input, in order; an undefined tensor stands for zero.
using BackwardFunction = std::function<std::vector<Tensor>(const BackwardContext&)>;

struct Node {
  const char* name;
  std::vector<std::shared_ptr<Slot>> inputs;
  std::vector<std::shared_ptr<Slot>> outputs;
  std::vector<Saved> saved;
  BackwardFunction backward;
};

// A value to differentiate and the factor its gradient starts with.
struct Root {
  Variable value;
  double seed = 1.0;
};

class Tape {
 public:
  // While it lives, operators called in this thread are recorded on the tape. Recordings nest; the innermost
  // counts.
  class Recording {
   public:
    explicit Recording(Tape& tape) : Recording(&tape) {}
    ~Recording();
    Recording(const Recording&) = delete;
    Recording& operator=(const Recording&) = delete;

   protected:
    explicit Recording(Tape* tape);

   private:
    Tape* outer_;
  };

  // Adds seed x d(root)/d(leaf) to the gradient of every leaf, for all roots at once; then the tape is empty.
  // A root of several elements starts from `seed` in each. Throws Error naming the operator whose gradients
  // do not fit.
  void backward(const std::vector<Root>& roots);
  // The same with whole tensors as the roots' gradients.
  void backward(const std::vector<std::pair<Variable, Tensor>>& roots);

  void append(Node node) { nodes_.push_back(std::move(node)); }
  size_t size() const { return nodes_.size(); }
  // Bytes that the nodes have saved, a tensor saved twice counted once, one to be made again not at all.
  int64_t saved_bytes() const;
  // Forgets what was recorded.
  void clear() { nodes_.clear(); }

  // The tape that records in this thread, or null.
  static Tape* active();

 private:
  std::vector<Node> nodes_;
};

// While it lives nothing is recorded in this thread.
class NoGrad : public Tape::Recording {
 public:
  NoGrad() : Recording(nullptr) {}
};

// What every differentiable operator ends with: the output as a Variable, recorded if a tape is active and an
// input needs a gradient. Of a saved tensor that is the value of an input with a recipe, the recipe is kept.
Variable record(const char* name, std::initializer_list<Variable> inputs, Tensor output,
                std::vector<Tensor> saved, BackwardFunction backward);
// The same for an operator of several outputs or of a number of inputs known at run time.
std::vector<Variable> record_many(const char* name, const std::vector<Variable>& inputs,
                                  std::vector<Tensor> outputs, std::vector<Tensor> saved,
                                  BackwardFunction backward);

}  // namespace dlcm::autograd
