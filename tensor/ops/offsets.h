// Offsets that cut rows into consecutive pieces: documents into tokens, concepts into tokens.
#pragma once

#include <vector>

#include "tensor/tensor.h"

namespace dlcm::ops {

// The one rule for offsets [pieces + 1] i32 of any kind: they begin with 0 and increase. No piece is empty: a
// document without tokens has no first token to open a concept, so it would be one without concepts, and a
// concept without tokens has no mean. The loader never makes one. Returns the last offset, the number of
// rows; throws Error naming the operator and the first entry that is wrong.
int64_t check_offsets(const char* operator_name, const Tensor& offsets);
// Likewise, and they end with `rows`.
void check_offsets(const char* operator_name, const Tensor& offsets, int64_t rows);

// For each row whether it is the first of its piece; offsets as above.
std::vector<bool> first_rows(const Tensor& offsets);

}  // namespace dlcm::ops
