#include "tensor/ops/rotary_table.h"

#include <cmath>
#include <type_traits>
#include <vector>

#include "tensor/dispatch.h"
#include "tensor/parallel.h"
#include "tensor/profile.h"

namespace dlcm::cpu {
namespace {

// In the precision of `Angle`, step by step as published models were trained: 1 / base^(2i/head_dim), then
// the product with the position.
template <class Angle>
std::vector<Angle> frequencies(double base, int64_t half) {
  std::vector<Angle> frequency;
  for (int64_t i = 0; i < half; ++i) {
    const Angle exponent = static_cast<Angle>(2 * i) / static_cast<Angle>(2 * half);
    frequency.push_back(1 / std::pow(static_cast<Angle>(base), exponent));
  }
  return frequency;
}

template <class T>
void fill_table(const Tensor& positions, double base, const Tensor& table) {
  using Angle = std::conditional_t<std::is_same_v<T, double>, double, float>;
  const int64_t half = table.size(1) / 2;
  const std::vector<Angle> frequency = frequencies<Angle>(base, half);
  parallel_for(positions.numel(), grain_for(half, 512), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const auto position = static_cast<Angle>(positions.data<int32_t>()[t]);
      T* row = table.data<T>() + t * 2 * half;
      for (int64_t i = 0; i < half; ++i) {
        const double angle = position * frequency[static_cast<size_t>(i)];  // rounded to Angle
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
