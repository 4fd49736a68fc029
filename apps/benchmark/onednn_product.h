// The same matrix products by oneDNN: what `benchmark matmul` compares ours with.
#pragma once

#include <functional>
#include <string>

#include "tensor/tensor.h"

namespace dlcm::apps {

// "oneDNN 2.6.3", or "none" where the build did not find it.
std::string onednn_name();

// Computes c [m, n] f32 = op(a) op(b), operands both f32 or both bf16, on as many threads as ours, by a
// primitive made for the shape beforehand. Empty where the build did not find oneDNN.
std::function<void()> onednn_product(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b,
                                     const Tensor& c);

}  // namespace dlcm::apps
