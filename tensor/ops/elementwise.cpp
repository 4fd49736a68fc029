#include "tensor/ops/elementwise.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "tensor/dispatch.h"
#include "tensor/parallel_arrays.h"
#include "tensor/profile.h"

namespace dlcm::cpu {
namespace {

// Elements summed before the ranges are added in order, and those one thread takes at a time.
constexpr int64_t kElementsPerRange = 16384;

// y_i = operation(a_i, b_(i mod elements of b)), a range of consecutive elements at a time.
template <class T, class Operation>
void broadcast(const Tensor& a, const Tensor& b, const Tensor& y, const Operation& operation) {
  const int64_t period = b.numel();
  parallel_for(a.numel(), kElementsPerRange, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end;) {
      const T* left = a.data<T>() + i;
      const T* right = b.data<T>() + i % period;
      T* out = y.data<T>() + i;
      const int64_t count = std::min(end - i, period - i % period);
#pragma omp simd
      for (int64_t j = 0; j < count; ++j) out[j] = operation(left[j], right[j]);
      i += count;
    }
  });
}

template <class T, class Operation>
void transform(const Tensor& x, const Tensor& y, const Operation& operation) {
  parallel_for(x.numel(), kElementsPerRange, [&](int64_t begin, int64_t end) {
    const T* in = x.data<T>();
    T* out = y.data<T>();
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) out[i] = operation(in[i]);
  });
}

// Sum of term(i) over a range: partial sums side by side, which no addition waits for, then added in order.
template <class Term>
double sum_of_range(int64_t begin, int64_t end, const Term& term) {
  constexpr int64_t kLanes = 32;
  double lanes[kLanes] = {};
  int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes) {
    for (int64_t j = 0; j < kLanes; ++j) lanes[j] += term(i + j);
  }
  for (int64_t j = 0; i + j < end; ++j) lanes[j] += term(i + j);
  double total = 0;
  for (const double lane : lanes) total += lane;
  return total;
}

// sum_i term(i) over n elements.
template <class Term>
double accumulate(int64_t n, const Term& term) {
  std::vector<double> partial(static_cast<size_t>((n + kElementsPerRange - 1) / kElementsPerRange));
  parallel_for(n, kElementsPerRange, [&](int64_t begin, int64_t end) {
    partial[static_cast<size_t>(begin / kElementsPerRange)] = sum_of_range(begin, end, term);
  });
  double total = 0;
  for (const double part : partial) total += part;
  return total;
}

template <class T>
double dot(const Tensor& a, const Tensor& b) {
  const T* left = a.data<T>();
  const T* right = b.data<T>();
  return accumulate(a.numel(),
                    [=](int64_t i) { return static_cast<double>(left[i]) * static_cast<double>(right[i]); });
}

template <class T>
void sum_rows_of(const Tensor& x, const Tensor& y) {
  const int64_t columns = y.numel();
  const int64_t rows = x.numel() / columns;
  const int64_t rows_per_part = std::max<int64_t>(128, kElementsPerRange / columns);
  const int64_t parts = (rows + rows_per_part - 1) / rows_per_part;
  const Tensor partial = Tensor::zeros({std::max<int64_t>(parts, 1), columns}, DType::f64);
  parallel_for(rows, rows_per_part, [&](int64_t begin, int64_t end) {
    double* total = partial.data<double>() + begin / rows_per_part * columns;
    for (int64_t row = begin; row < end; ++row) {
      const T* in = x.data<T>() + row * columns;
      for (int64_t i = 0; i < columns; ++i) total[i] += static_cast<double>(in[i]);
    }
  });
  double* total = partial.data<double>();
  for (int64_t part = 1; part < parts; ++part) {
    for (int64_t i = 0; i < columns; ++i) total[i] += total[part * columns + i];
  }
  for (int64_t i = 0; i < columns; ++i) y.data<T>()[i] = static_cast<T>(total[i]);
}

void add(const Tensor& a, const Tensor& b, const Tensor& y) {
  DLCM_FLOATING(a.dtype(), T, broadcast<T>(a, b, y, [](T left, T right) { return left + right; }));
}

void multiply(const Tensor& a, const Tensor& b, const Tensor& y) {
  DLCM_FLOATING(a.dtype(), T, broadcast<T>(a, b, y, [](T left, T right) { return left * right; }));
}

void scale(const Tensor& x, double factor, const Tensor& y) {
  DLCM_FLOATING(x.dtype(), T,
                transform<T>(x, y, [f = static_cast<T>(factor)](T value) { return value * f; }));
}

void sum(const Tensor& x, double& total) {
  DLCM_FLOATING(x.dtype(), T, {
    const T* in = x.data<T>();
    total = accumulate(x.numel(), [=](int64_t i) { return static_cast<double>(in[i]); });
  });
}

void weighted_sum(const Tensor& x, const Tensor& weights, double& total) {
  DLCM_FLOATING(x.dtype(), T, total = dot<T>(x, weights));
}

template <class T>
double squares_of_range(const Tensor& x, int64_t begin, int64_t end) {
  const T* in = x.data<T>();
  return sum_of_range(begin, end,
                      [in](int64_t i) { return static_cast<double>(in[i]) * static_cast<double>(in[i]); });
}

void add_squares(const Tensor& x, int64_t begin, int64_t end, double& total) {
  DLCM_FLOATING(x.dtype(), T, total += squares_of_range<T>(x, begin, end));
}

void sum_of_squares(const std::vector<Tensor>& tensors, double& total) {
  std::vector<int64_t> sizes;
  for (const Tensor& x : tensors) sizes.push_back(x.numel());
  const int64_t elements = std::accumulate(sizes.begin(), sizes.end(), int64_t{0});
  std::vector<double> partial(static_cast<size_t>((elements + kElementsPerRange - 1) / kElementsPerRange));
  parallel_for_arrays(sizes, kElementsPerRange, [&](int64_t range, size_t i, int64_t begin, int64_t end) {
    add_squares(tensors[i], begin, end, partial[static_cast<size_t>(range)]);
  });
  for (const double part : partial) total += part;
}

void sum_rows(const Tensor& x, const Tensor& y) {
  DLCM_FLOATING(x.dtype(), T, sum_rows_of<T>(x, y));
}

void count_not_finite(const Tensor& x, double& count) {
  DLCM_FLOATING(x.dtype(), T, {
    const T* in = x.data<T>();
    // inf - inf and NaN - NaN are NaN, anything else gives 0.
    count = accumulate(x.numel(), [=](int64_t i) { return in[i] - in[i] == T{0} ? 0.0 : 1.0; });
  });
}

}  // namespace
}  // namespace dlcm::cpu

namespace dlcm::ops {
namespace {

// Whether `part` equals the last dimensions of `whole`.
bool is_trailing(const Shape& part, const Shape& whole) {
  return part.rank() <= whole.rank() &&
         std::equal(part.sizes().rbegin(), part.sizes().rend(), whole.sizes().rbegin());
}

void check_broadcast(const char* name, const Tensor& a, const Tensor& b) {
  DLCM_CHECK(is_trailing(b.shape(), a.shape()), name, ": shapes ", a.shape(), " and ", b.shape(),
             "; the second must be the first or its last dimensions");
  DLCM_CHECK(a.dtype() == b.dtype(), name, ": dtypes ", a.dtype(), " and ", b.dtype(), " differ");
}

void check_same(const char* name, const Tensor& a, const Tensor& b) {
  DLCM_CHECK(a.shape() == b.shape(), name, ": shapes ", a.shape(), " and ", b.shape(), " differ");
  DLCM_CHECK(a.dtype() == b.dtype(), name, ": dtypes ", a.dtype(), " and ", b.dtype(), " differ");
}

}  // namespace

Tensor add(const Tensor& a, const Tensor& b) {
  check_broadcast("add", a, b);
  const ProfileScope profile("add", 1, a.numel());
  const Tensor y = a.empty_like();
  DLCM_DISPATCH_CPU(a.device(), add(a, b, y));
  return y;
}

Tensor multiply(const Tensor& a, const Tensor& b) {
  check_broadcast("multiply", a, b);
  const ProfileScope profile("multiply", 1, a.numel());
  const Tensor y = a.empty_like();
  DLCM_DISPATCH_CPU(a.device(), multiply(a, b, y));
  return y;
}

Tensor scale(const Tensor& x, double factor) {
  const ProfileScope profile("scale", 1, x.numel());
  const Tensor y = x.empty_like();
  DLCM_DISPATCH_CPU(x.device(), scale(x, factor, y));
  return y;
}

void add_into(const Tensor& target, const Tensor& x) {
  check_same("add_into", target, x);
  const ProfileScope profile("add", 1, x.numel());
  DLCM_DISPATCH_CPU(target.device(), add(target, x, target));
}

void scale_into(const Tensor& target, double factor) {
  const ProfileScope profile("scale", 1, target.numel());
  DLCM_DISPATCH_CPU(target.device(), scale(target, factor, target));
}

double sum(const Tensor& x) {
  const ProfileScope profile("sum", 1, x.numel());
  double total = 0;
  DLCM_DISPATCH_CPU(x.device(), sum(x, total));
  return total;
}

double sum_of_squares(const std::vector<Tensor>& tensors) {
  int64_t elements = 0;
  for (const Tensor& x : tensors) elements += x.numel();
  const ProfileScope profile("sum_of_squares", 2, elements);
  double total = 0;
  if (!tensors.empty()) DLCM_DISPATCH_CPU(tensors.front().device(), sum_of_squares(tensors, total));
  return total;
}

double weighted_sum(const Tensor& x, const Tensor& weights) {
  check_same("weighted_sum", x, weights);
  const ProfileScope profile("weighted_sum", 2, x.numel());
  double total = 0;
  DLCM_DISPATCH_CPU(x.device(), weighted_sum(x, weights, total));
  return total;
}

Tensor sum_to(const Tensor& x, const Shape& shape, const char* operator_name) {
  if (x.shape() == shape) return x;
  DLCM_CHECK(is_trailing(shape, x.shape()), operator_name, ": a gradient of shape ", x.shape(),
             " does not fit an input of shape ", shape);
  const ProfileScope profile("sum_to", 1, x.numel());
  const Tensor y = Tensor::empty(shape, x.dtype(), x.device());
  if (y.numel() == 0) return y;
  DLCM_DISPATCH_CPU(x.device(), sum_rows(x, y));
  return y;
}

bool all_finite(const Tensor& x) {
  const ProfileScope profile("all_finite", 2, x.numel());
  double not_finite = 0;
  DLCM_DISPATCH_CPU(x.device(), count_not_finite(x, not_finite));
  return not_finite == 0;
}

}  // namespace dlcm::ops
