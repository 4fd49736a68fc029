// Variable: a tensor that a tape can differentiate.
//
// A Variable is a handle: copies share the value and the gradient's place. Values of intermediate results
// live only as long as a Variable or a node that saved them holds them; the tape itself keeps just the
// gradients' places (Slot).
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "tensor/tensor.h"

namespace dlcm::autograd {

// Where the gradient of one value is gathered.
struct Slot {
  Shape shape;
  DType dtype = DType::f32;  // of the value; f32 for one of bf16, which is rounded to be multiplied alone
  Device device;
  bool requires_grad = false;
  Tensor grad;  // undefined until the first gradient arrives
};

// How to make a value again from tensors that are kept anyway. What operators save of a Variable that has a
// recipe is the recipe: see record().
class Recipe {
 public:
  explicit Recipe(std::function<Tensor()> make) : make_(std::move(make)) {}
  // Made when it is first asked for, and kept as long as the recipe.
  const Tensor& value() {
    if (!value_.defined()) value_ = make_();
    return value_;
  }

 private:
  std::function<Tensor()> make_;
  Tensor value_;
};

class Variable {
 public:
  Variable() = default;  // undefined
  // A value that needs no gradient.
  explicit Variable(Tensor value) : Variable(std::move(value), false) {}
  Variable(Tensor value, bool requires_grad);
  // Another value for what gathers its gradient in the same place: this one rounded to bf16.
  Variable in_place_of(Tensor value) const;

  bool defined() const { return value_.defined(); }
  const Tensor& value() const { return value_; }
  const Shape& shape() const { return value_.shape(); }
  int64_t size(int64_t axis) const { return value_.size(axis); }
  DType dtype() const { return value_.dtype(); }
  bool requires_grad() const { return slot_ && slot_->requires_grad; }

  // The gradient gathered so far, of the value's shape; undefined where none has arrived.
  const Tensor& grad() const { return slot_->grad; }
  void clear_grad() { slot_->grad = Tensor(); }

  // The same value without a past: no gradient flows through it.
  Variable detach() const { return Variable(value_); }
  const std::shared_ptr<Slot>& slot() const { return slot_; }

  // From now on operators save how to make the value, bit by bit, in place of the value. Does nothing where
  // no gradient is needed. Worth it where `make` is a pass over few bytes.
  Variable with_recipe(std::function<Tensor()> make) const;
  const std::shared_ptr<Recipe>& recipe() const { return recipe_; }  // may be null

 private:
  Tensor value_;
  std::shared_ptr<Slot> slot_;
  std::shared_ptr<Recipe> recipe_;
};

}  // namespace dlcm::autograd
