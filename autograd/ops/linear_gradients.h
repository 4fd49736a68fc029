// Gradients of ops::linear, for the operators that contain one.
#pragma once

#include "autograd/tape.h"

namespace dlcm::autograd {

// dy weight and dy^T x, as the gradients of input `index`; undefined where it is not needed, and where it was
// added, by the product itself, to what is gathered already.
Tensor linear_input_gradient(const BackwardContext& context, size_t index, const Tensor& dy,
                             const Tensor& weight);
Tensor linear_weight_gradient(const BackwardContext& context, size_t index, const Tensor& dy,
                              const Tensor& x);

// A further product of the same input: adds dy weight to `sum`, what linear_input_gradient returned, or where
// that is undefined to what is gathered.
void add_linear_input_gradient(const BackwardContext& context, size_t index, const Tensor& dy,
                               const Tensor& weight, const Tensor& sum);

}  // namespace dlcm::autograd
