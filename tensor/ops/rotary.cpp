#include "tensor/ops/rotary.h"

#include <cmath>
#include <vector>

#include "tensor/dispatch.h"
#include "tensor/parallel.h"
#include "tensor/profile.h"

namespace dlcm::cpu {
namespace {

enum class Direction { forward, backward };

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

template <class T>
void rotate(const Tensor& x, const Tensor& table, Direction direction, const Tensor& y) {
  const int64_t heads = x.size(1);
  const int64_t half = x.size(2) / 2;
  const int64_t width = heads * 2 * half;
  const T sign = direction == Direction::forward ? T{1} : T{-1};
  parallel_for(x.size(0), grain_for(width), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const T* cosine = table.data<T>() + t * 2 * half;
      const T* sine = cosine + half;
      for (int64_t head = 0; head < heads; ++head) {
        const T* in = x.data<T>() + t * width + head * 2 * half;
        T* out = y.data<T>() + t * width + head * 2 * half;
#pragma omp simd
        for (int64_t i = 0; i < half; ++i) {
          const T s = sign * sine[i];
          out[i] = in[i] * cosine[i] - in[i + half] * s;
          out[i + half] = in[i + half] * cosine[i] + in[i] * s;
        }
      }
    }
  });
}

void rotary_table(const Tensor& positions, double base, const Tensor& table) {
  DLCM_FLOATING(table.dtype(), T, fill_table<T>(positions, base, table));
}

void rotary(const Tensor& x, const Tensor& table, Direction direction, const Tensor& y) {
  DLCM_FLOATING(x.dtype(), T, rotate<T>(x, table, direction, y));
}

}  // namespace
}  // namespace dlcm::cpu

namespace dlcm::ops {
namespace {

Tensor rotated(const char* name, const Tensor& x, const Tensor& table, cpu::Direction direction) {
  DLCM_CHECK(x.rank() == 3 && table.rank() == 2 && table.size(0) == x.size(0) && table.size(1) == x.size(2),
             name, ": x has shape ", x.shape(), ", table ", table.shape(),
             "; expected [T, heads, head_dim] and [T, head_dim]");
  DLCM_CHECK(x.dtype() == table.dtype(), name, ": x is ", x.dtype(), ", table is ", table.dtype());
  const Tensor y = x.empty_like();
  const ProfileScope profile(name, 3, x.numel());
  DLCM_DISPATCH_CPU(x.device(), rotary(x, table, direction, y));
  return y;
}

}  // namespace

Tensor rotary_table(const Tensor& positions, int64_t head_dim, double base, DType dtype) {
  DLCM_CHECK(positions.rank() == 1, "rotary_table: positions have shape ", positions.shape(),
             ", expected rank 1");
  DLCM_CHECK(head_dim > 0 && head_dim % 2 == 0, "rotary_table: head_dim is ", head_dim,
             ", expected an even number above 0");
  DLCM_CHECK(base > 0, "rotary_table: base is ", base, ", expected a number above 0");
  const Tensor table = Tensor::empty({positions.numel(), head_dim}, dtype, positions.device());
  const ProfileScope profile("rotary_table", 1.5, table.numel());
  DLCM_DISPATCH_CPU(positions.device(), rotary_table(positions, base, table));
  return table;
}

Tensor rotary(const Tensor& x, const Tensor& table) {
  return rotated("rotary", x, table, cpu::Direction::forward);
}

Tensor rotary_backward(const Tensor& dy, const Tensor& table) {
  return rotated("rotary_backward", dy, table, cpu::Direction::backward);
}

}  // namespace dlcm::ops
