// Mean of each run of rows (Eq. 7): y[k] = mean of x[t] for offsets[k] <= t < offsets[k + 1].
// x [T, d] f32 or f64; offsets [M + 1] i32, increasing from 0 to T, no segment empty; y [M, d]. Rows are
// added in order, so that a sum kept while tokens arrive one by one gives the same bits.
#pragma once

#include "tensor/tensor.h"

namespace dlcm::ops {

Tensor segment_mean(const Tensor& x, const Tensor& offsets);
// dx [T, d]: dy of the row's segment over its length.
Tensor segment_mean_backward(const Tensor& dy, const Tensor& offsets);

}  // namespace dlcm::ops
