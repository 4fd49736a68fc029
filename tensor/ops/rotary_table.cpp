#include "tensor/ops/rotary_table.h"

#include <cmath>
#include <vector>

#include "tensor/dispatch.h"
#include "tensor/parallel.h"
#include "tensor/profile.h"

namespace dlcm::cpu {
namespace {

template <class T>
void fill_table(const Tensor& positions, double base, const Tensor& table) {
  const int64_t half = table.size(1) / 2;
  std::vector<double> frequency;
  for (int64_t i = 0; i < half; ++i) {
    frequency.push_back(std::pow(base, -static_cast<double>(i) / static_cast<double>(half)));
  }
  parallel_for(positions.numel(), grain_for(half, 512), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const auto position = static_cast<double>(positions.data<int32_t>()[t]);
      T* row = table.data<T>() + t * 2 * half;
      for (int64_t i = 0; i < half; ++i) {
        const double angle = position * frequency[static_cast<size_t>(i)];
        row[i] = static_cast<T>(std::cos(angle));
        row[half + i] = static_cast<T>(std::sin(angle));
      }
    }
  });
}

void rotary_table(const Tensor& positions, double base, const Tensor& table) {
  DLCM_FLOATING(table.dtype(), T, fill_table<T>(positions, base, table));
}

}  // namespace
}  // namespace dlcm::cpu

namespace dlcm::ops {

Tensor rotary_table(const Tensor& positions, int64_t head_dim, double base, DType dtype) {
  DLCM_CHECK(positions.rank() == 1, "rotary_table: positions have shape ", positions.shape(),
             ", expected rank 1");
  DLCM_CHECK(head_dim > 0 && head_dim % 2 == 0, "rotary_table: head_dim is ", head_dim,
             ", expected an even number above 0");
  DLCM_CHECK(base > 0, "rotary_table: base is ", base, ", expected a number above 0");
  const ProfileScope profile("rotary_table", 1.5, positions.numel() * head_dim);
  const Tensor table = Tensor::empty({positions.numel(), head_dim}, dtype, positions.device());
  DLCM_DISPATCH_CPU(positions.device(), rotary_table(positions, base, table));
  return table;
}

}  // namespace dlcm::ops
