// Elementwise arithmetic and sums, f32 or f64. Sums over many elements are accumulated in float64 in ranges
// of a fixed size that are added in order: the result does not depend on the number of threads.
#pragma once

#include "tensor/tensor.h"

namespace dlcm::ops {

// a + b and a * b. b has the shape of a, or one that equals the trailing dimensions of a (it is then repeated
// over the leading ones). Throws Error naming both shapes otherwise.
Tensor add(const Tensor& a, const Tensor& b);
Tensor multiply(const Tensor& a, const Tensor& b);
Tensor scale(const Tensor& x, double factor);
// target += x, and target *= factor, in place; same shapes.
void add_into(const Tensor& target, const Tensor& x);
void scale_into(const Tensor& target, double factor);

// Sum of all elements.
double sum(const Tensor& x);
// Of all elements of all tensors, in one pass (for gradient norms).
double sum_of_squares(const std::vector<Tensor>& tensors);
// sum_i x_i w_i, both of the same shape.
double weighted_sum(const Tensor& x, const Tensor& weights);

// x summed over the leading dimensions that `shape` lacks, the reverse of broadcasting; x itself where the
// shapes are equal. Throws Error naming `operator_name` where `shape` is not the trailing part of x's.
Tensor sum_to(const Tensor& x, const Shape& shape, const char* operator_name);

// Whether every element is finite.
bool all_finite(const Tensor& x);

}  // namespace dlcm::ops
