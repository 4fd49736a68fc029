// Rows of a table: y[t] = table[ids[t]]. ids [T] i32, table [V, d] f32 or f64, y [T, d].
// Throws Error naming position, id and V where an id is outside [0, V).
#pragma once

#include "tensor/tensor.h"

namespace dlcm::ops {

Tensor embedding(const Tensor& ids, const Tensor& table);
// dtable [rows, d]: row v is the sum of dy[t] over t with ids[t] = v, added in order of t.
Tensor embedding_backward(const Tensor& dy, const Tensor& ids, int64_t rows);

}  // namespace dlcm::ops
