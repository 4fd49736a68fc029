// Variable: a tensor that a tape can differentiate.
//
// A Variable is a handle: copies share the value and the gradient's place. Values of intermediate results
// live only as long as a Variable or a node that saved them holds them; the tape itself keeps just the
// gradients' places (Slot).
#pragma once

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

 private:
  Tensor value_;
  std::shared_ptr<Slot> slot_;
};

}  // namespace dlcm::autograd
