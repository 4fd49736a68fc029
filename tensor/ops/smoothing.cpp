#include "tensor/ops/smoothing.h"

#include <algorithm>
#include <vector>

#include "tensor/dispatch.h"
#include "tensor/ops/offsets.h"
#include "tensor/parallel.h"
#include "tensor/profile.h"
#include "tensor/vector_math.h"

namespace dlcm::cpu {
namespace {

constexpr int64_t kRowsPerPartial = 128;  // rows of dgate summed before the ranges are added in order

// The two rules, for whole batches and for single steps alike. Never inlined, so that there is one machine
// code and one rounding of each.
template <class T>
[[gnu::noinline]] void blend_rule(const T* z, const T* previous_z, const T* gate, int64_t d, T* y) {
#pragma omp simd
  for (int64_t i = 0; i < d; ++i) {
    const T g = sigmoid(gate[i]);
    y[i] = (T{1} - g) * z[i] + g * previous_z[i];
  }
}

template <class T>
[[gnu::noinline]] void ema_rule(const T* z, T p, const T* previous_y, int64_t d, T* y) {
#pragma omp simd
  for (int64_t i = 0; i < d; ++i) y[i] = p * z[i] + (T{1} - p) * previous_y[i];
}

template <class T>
void blend_rows(const Tensor& z, const Tensor& gate, const std::vector<bool>& first, const Tensor& y) {
  const int64_t d = gate.numel();
  parallel_for(z.size(0), grain_for(d), [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) {
      const T* in = z.data<T>() + k * d;
      if (first[static_cast<size_t>(k)]) {
        std::copy_n(in, d, y.data<T>() + k * d);
      } else {
        blend_rule(in, in - d, gate.data<T>(), d, y.data<T>() + k * d);
      }
    }
  });
}

// dz_k = (1 - g) dy_k + g dy_{k+1}, the second where k + 1 is of the same document; dg += dy_k (z_{k-1} -
// z_k)
template <class T>
void blend_backward_row(const T* dy, const T* z, const T* g, int64_t d, bool is_first, bool next_is_first,
                        T* dz, T* dg) {
  if (is_first) {
    std::copy_n(dy, d, dz);
  } else {
    const T* previous = z - d;
#pragma omp simd
    for (int64_t i = 0; i < d; ++i) {
      dz[i] = (T{1} - g[i]) * dy[i];
      dg[i] += dy[i] * (previous[i] - z[i]);
    }
  }
  if (next_is_first) return;
  const T* next = dy + d;
#pragma omp simd
  for (int64_t i = 0; i < d; ++i) dz[i] += g[i] * next[i];
}

template <class T>
void blend_rows_backward(const Tensor& dy, const Tensor& z, const Tensor& gate,
                         const std::vector<bool>& first, const Tensor& dz, const Tensor& dgate) {
  const int64_t rows = z.size(0);
  const int64_t d = gate.numel();
  const Tensor g = gate.empty_like();
  for (int64_t i = 0; i < d; ++i) g.data<T>()[i] = sigmoid(gate.data<T>()[i]);
  const int64_t parts = (rows + kRowsPerPartial - 1) / kRowsPerPartial;
  const Tensor partial = Tensor::zeros({parts, d}, z.dtype());
  parallel_for(rows, kRowsPerPartial, [&](int64_t begin, int64_t end) {
    T* sums = partial.data<T>() + begin / kRowsPerPartial * d;
    for (int64_t k = begin; k < end; ++k) {
      const bool next_is_first = k + 1 == rows || first[static_cast<size_t>(k + 1)];
      blend_backward_row(dy.data<T>() + k * d, z.data<T>() + k * d, g.data<T>(), d,
                         first[static_cast<size_t>(k)], next_is_first, dz.data<T>() + k * d, sums);
    }
  });
  T* sums = dgate.data<T>();
  std::fill_n(sums, d, T{0});
  for (int64_t part = 0; part < parts; ++part) {
    for (int64_t i = 0; i < d; ++i) sums[i] += partial.data<T>()[part * d + i];
  }
  for (int64_t i = 0; i < d; ++i) sums[i] *= g.data<T>()[i] * (T{1} - g.data<T>()[i]);
}

// A concept needs its predecessor, so the threads share the columns.
int64_t column_grain(int64_t rows) {
  return std::max<int64_t>(64, grain_for(rows));
}

template <class T>
void ema_rows(const Tensor& z, const Tensor& p, const std::vector<bool>& first, const Tensor& y) {
  const int64_t d = z.size(1);
  parallel_for(d, column_grain(z.size(0)), [&](int64_t begin, int64_t end) {
    for (int64_t k = 0; k < z.size(0); ++k) {
      const T* in = z.data<T>() + k * d + begin;
      T* out = y.data<T>() + k * d + begin;
      if (first[static_cast<size_t>(k)]) {
        std::copy_n(in, end - begin, out);
      } else {
        ema_rule(in, p.data<T>()[k], out - d, end - begin, out);
      }
    }
  });
}

// What reaches y_k directly and through its successors: total_k = dy_k + (1 - P_{k+1}) total_{k+1}.
template <class T>
void ema_totals(const Tensor& dy, const Tensor& p, const std::vector<bool>& first, const Tensor& total) {
  const int64_t rows = dy.size(0);
  const int64_t d = dy.size(1);
  parallel_for(d, column_grain(rows), [&](int64_t begin, int64_t end) {
    for (int64_t k = rows - 1; k >= 0; --k) {
      const T* in = dy.data<T>() + k * d + begin;
      T* out = total.data<T>() + k * d + begin;
      if (k + 1 == rows || first[static_cast<size_t>(k + 1)]) {
        std::copy_n(in, end - begin, out);
        continue;
      }
      const T factor = T{1} - p.data<T>()[k + 1];
      const T* next = out + d;
#pragma omp simd
      for (int64_t i = 0; i < end - begin; ++i) out[i] = in[i] + factor * next[i];
    }
  });
}

// dP_k = sum_i total_ki (z_ki - y_{k-1,i}), dz_k = P_k total_k; a first concept has dP = 0 and dz = total.
template <class T>
void ema_rows_backward(const Tensor& dy, const Tensor& z, const Tensor& p, const Tensor& y,
                       const std::vector<bool>& first, const Tensor& dz, const Tensor& dp) {
  const int64_t d = z.size(1);
  ema_totals<T>(dy, p, first, dz);
  parallel_for(z.size(0), grain_for(d), [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) {
      dp.data<T>()[k] = 0;
      if (first[static_cast<size_t>(k)]) continue;
      T* total = dz.data<T>() + k * d;
      const T* in = z.data<T>() + k * d;
      const T* previous = y.data<T>() + (k - 1) * d;
      T dot = 0;
#pragma omp simd reduction(+ : dot)
      for (int64_t i = 0; i < d; ++i) dot += total[i] * (in[i] - previous[i]);
      dp.data<T>()[k] = dot;
      const T factor = p.data<T>()[k];
#pragma omp simd
      for (int64_t i = 0; i < d; ++i) total[i] *= factor;
    }
  });
}

void blend_forward(const Tensor& z, const Tensor& gate, const std::vector<bool>& first, const Tensor& y) {
  DLCM_FLOATING(z.dtype(), T, blend_rows<T>(z, gate, first, y));
}

void blend_backward(const Tensor& dy, const Tensor& z, const Tensor& gate, const std::vector<bool>& first,
                    const Tensor& dz, const Tensor& dgate) {
  DLCM_FLOATING(z.dtype(), T, blend_rows_backward<T>(dy, z, gate, first, dz, dgate));
}

void ema_forward(const Tensor& z, const Tensor& p, const std::vector<bool>& first, const Tensor& y) {
  DLCM_FLOATING(z.dtype(), T, ema_rows<T>(z, p, first, y));
}

void ema_backward(const Tensor& dy, const Tensor& z, const Tensor& p, const Tensor& y,
                  const std::vector<bool>& first, const Tensor& dz, const Tensor& dp) {
  DLCM_FLOATING(z.dtype(), T, ema_rows_backward<T>(dy, z, p, y, first, dz, dp));
}

}  // namespace
}  // namespace dlcm::cpu

namespace dlcm::ops {
namespace {

void check_blend(const char* name, const Tensor& z, const Tensor& gate, const Tensor& cu_seqlens) {
  DLCM_CHECK(z.rank() == 2 && gate.rank() == 1 && gate.numel() == z.size(1), name, ": z has shape ",
             z.shape(), ", gate ", gate.shape(), "; expected [M, D] and [D]");
  DLCM_CHECK(z.dtype() == gate.dtype(), name, ": z is ", z.dtype(), ", gate is ", gate.dtype());
  check_offsets(name, cu_seqlens, z.size(0));
}

void check_ema(const char* name, const Tensor& z, const Tensor& p, const Tensor& cu_seqlens) {
  DLCM_CHECK(z.rank() == 2 && p.rank() == 1 && p.numel() == z.size(0), name, ": z has shape ", z.shape(),
             ", p ", p.shape(), "; expected [M, D] and [M]");
  DLCM_CHECK(z.dtype() == p.dtype(), name, ": z is ", z.dtype(), ", p is ", p.dtype());
  check_offsets(name, cu_seqlens, z.size(0));
}

void check_like_z(const char* name, const Tensor& other, const Tensor& z) {
  DLCM_CHECK(other.shape() == z.shape() && other.dtype() == z.dtype(), name, ": z has shape ", z.shape(),
             " of ", z.dtype(), ", dy or y ", other.shape(), " of ", other.dtype());
}

}  // namespace

Tensor blend(const Tensor& z, const Tensor& gate, const Tensor& cu_seqlens) {
  check_blend("blend", z, gate, cu_seqlens);
  const ProfileScope profile("blend", 7, z.numel());
  const Tensor y = z.empty_like();
  DLCM_DISPATCH_CPU(z.device(), blend_forward(z, gate, first_rows(cu_seqlens), y));
  return y;
}

BlendGradients blend_backward(const Tensor& dy, const Tensor& z, const Tensor& gate,
                              const Tensor& cu_seqlens) {
  check_blend("blend_backward", z, gate, cu_seqlens);
  check_like_z("blend_backward", dy, z);
  const ProfileScope profile("blend_backward", 6, z.numel());
  const BlendGradients result = {z.empty_like(), gate.empty_like()};
  DLCM_DISPATCH_CPU(z.device(), blend_backward(dy, z, gate, first_rows(cu_seqlens), result.dz, result.dgate));
  return result;
}

void blend_row(const float* z, const float* previous_z, const float* gate, int64_t d, float* y) {
  cpu::blend_rule(z, previous_z, gate, d, y);
}

Tensor ema(const Tensor& z, const Tensor& p, const Tensor& cu_seqlens) {
  check_ema("ema", z, p, cu_seqlens);
  const ProfileScope profile("ema", 3, z.numel());
  const Tensor y = z.empty_like();
  DLCM_DISPATCH_CPU(z.device(), ema_forward(z, p, first_rows(cu_seqlens), y));
  return y;
}

EmaGradients ema_backward(const Tensor& dy, const Tensor& z, const Tensor& p, const Tensor& y,
                          const Tensor& cu_seqlens) {
  check_ema("ema_backward", z, p, cu_seqlens);
  check_like_z("ema_backward", dy, z);
  check_like_z("ema_backward", y, z);
  const ProfileScope profile("ema_backward", 6, z.numel());
  const EmaGradients result = {z.empty_like(), p.empty_like()};
  DLCM_DISPATCH_CPU(z.device(), ema_backward(dy, z, p, y, first_rows(cu_seqlens), result.dz, result.dp));
  return result;
}

void ema_row(const float* z, float p, const float* previous_y, int64_t d, float* y) {
  cpu::ema_rule(z, p, previous_y, d, y);
}

}  // namespace dlcm::ops
