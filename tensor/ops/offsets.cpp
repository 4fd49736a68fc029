#include "tensor/ops/offsets.h"

namespace dlcm::ops {

int64_t check_offsets(const char* operator_name, const Tensor& offsets) {
  DLCM_CHECK(offsets.rank() == 1 && offsets.numel() >= 1, operator_name, ": offsets have shape ",
             offsets.shape(), ", expected one more than there are pieces");
  const int32_t* values = offsets.data<int32_t>();
  const int64_t pieces = offsets.numel() - 1;
  DLCM_CHECK(values[0] == 0, operator_name, ": the first offset is ", values[0], ", expected 0");
  for (int64_t i = 1; i <= pieces; ++i) {
    DLCM_CHECK(values[i] > values[i - 1], operator_name, ": offset ", i, " is ", values[i],
               ", not above the one before, ", values[i - 1]);
  }
  return values[pieces];
}

void check_offsets(const char* operator_name, const Tensor& offsets, int64_t rows) {
  const int64_t last = check_offsets(operator_name, offsets);
  DLCM_CHECK(last == rows, operator_name, ": the last offset is ", last, ", there are ", rows, " rows");
}

std::vector<bool> first_rows(const Tensor& offsets) {
  const int32_t* values = offsets.data<int32_t>();
  const int64_t pieces = offsets.numel() - 1;
  std::vector<bool> first(static_cast<size_t>(values[pieces]), false);
  for (int64_t i = 0; i < pieces; ++i) first[static_cast<size_t>(values[i])] = true;
  return first;
}

}  // namespace dlcm::ops
