// Offsets that cut rows into consecutive pieces: documents into tokens, concepts into tokens.
#pragma once

#include <vector>

#include "tensor/tensor.h"

namespace dlcm::ops {

// Throws Error naming the operator and the first entry that is wrong unless offsets [pieces + 1] i32 begin
// with 0, increase, and end with `rows`.
void check_offsets(const char* operator_name, const Tensor& offsets, int64_t rows);

// For each row whether it is the first of its piece; offsets as above.
std::vector<bool> first_rows(const Tensor& offsets);

}  // namespace dlcm::ops
