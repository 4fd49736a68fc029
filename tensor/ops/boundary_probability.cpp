#include "tensor/ops/boundary_probability.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "tensor/dispatch.h"
#include "tensor/ops/offsets.h"
#include "tensor/parallel.h"
#include "tensor/profile.h"
#include "tensor/vector_math.h"

namespace dlcm::cpu {
namespace {

constexpr double kSmallestNorm = 1e-12;  // of |q| |k|

template <class T>
struct Cosine {
  T value, q_norm, k_norm;
};

template <class T>
Cosine<T> cosine_of(const T* q, const T* k, int64_t d) {
  const T q_norm = std::sqrt(dot_of(q, q, d));
  const T k_norm = std::sqrt(dot_of(k, k, d));
  const T cosine = dot_of(q, k, d) / std::max(q_norm * k_norm, static_cast<T>(kSmallestNorm));
  return {std::clamp(cosine, T{-1}, T{1}), q_norm, k_norm};
}

template <class T>
void forward(const Tensor& q, const Tensor& k, const std::vector<bool>& first, const Tensor& p) {
  const int64_t d = q.size(1);
  parallel_for(q.size(0), grain_for(d), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      p.data<T>()[t] = first[static_cast<size_t>(t)]
                           ? T{1}
                           : ops::boundary_probability_of(q.data<T>() + (t - 1) * d, k.data<T>() + t * d, d);
    }
  });
}

// Gradients of one pair; dp/dcos = -1/2,
//   dcos/dq = (k/|k| - cos q/|q|) / |q|,   dcos/dk = (q/|q| - cos k/|k|) / |k|.
template <class T>
void backward_pair(T dp, const T* q, const T* k, int64_t d, T* dq, T* dk) {
  const Cosine<T> cosine = cosine_of(q, k, d);
  const T norms = cosine.q_norm * cosine.k_norm;
  if (norms <= static_cast<T>(kSmallestNorm)) {
    std::fill_n(dq, d, T{0});
    std::fill_n(dk, d, T{0});
    return;
  }
  const T outer = -dp / 2;
  const T cross = outer / norms;
  const T q_scale = outer * cosine.value / (cosine.q_norm * cosine.q_norm);
  const T k_scale = outer * cosine.value / (cosine.k_norm * cosine.k_norm);
#pragma omp simd
  for (int64_t i = 0; i < d; ++i) {
    dq[i] = cross * k[i] - q_scale * q[i];
    dk[i] = cross * q[i] - k_scale * k[i];
  }
}

template <class T>
void backward(const Tensor& dp, const Tensor& q, const Tensor& k, const std::vector<bool>& first,
              const Tensor& dq, const Tensor& dk) {
  const int64_t rows = q.size(0);
  const int64_t d = q.size(1);
  parallel_for(rows, grain_for(d), [&](int64_t begin, int64_t end) {
    // Token t writes dk[t] and dq[t - 1]; at a document's edge both are 0.
    for (int64_t t = begin; t < end; ++t) {
      T* dk_row = dk.data<T>() + t * d;
      if (!first[static_cast<size_t>(t)]) {
        backward_pair(dp.data<T>()[t], q.data<T>() + (t - 1) * d, k.data<T>() + t * d, d,
                      dq.data<T>() + (t - 1) * d, dk_row);
      } else {
        std::fill_n(dk_row, d, T{0});
        if (t > 0) std::fill_n(dq.data<T>() + (t - 1) * d, d, T{0});
      }
      if (t + 1 == rows) std::fill_n(dq.data<T>() + t * d, d, T{0});
    }
  });
}

void boundary_probability_forward(const Tensor& q, const Tensor& k, const std::vector<bool>& first,
                                  const Tensor& p) {
  DLCM_FLOATING(q.dtype(), T, forward<T>(q, k, first, p));
}

void boundary_probability_backward(const Tensor& dp, const Tensor& q, const Tensor& k,
                                   const std::vector<bool>& first, const Tensor& dq, const Tensor& dk) {
  DLCM_FLOATING(q.dtype(), T, backward<T>(dp, q, k, first, dq, dk));
}

}  // namespace
}  // namespace dlcm::cpu

namespace dlcm::ops {
namespace {

void check_pair(const char* name, const Tensor& q, const Tensor& k, const Tensor& cu_seqlens) {
  DLCM_CHECK(q.rank() == 2 && q.shape() == k.shape(), name, ": q has shape ", q.shape(), ", k ", k.shape(),
             "; expected two alike of rank 2");
  DLCM_CHECK(q.dtype() == k.dtype(), name, ": q is ", q.dtype(), ", k is ", k.dtype());
  check_offsets(name, cu_seqlens, q.size(0));
}

}  // namespace

float boundary_probability_of(const float* previous_q, const float* k, int64_t d) {
  return (1.0f - cpu::cosine_of(previous_q, k, d).value) / 2.0f;
}
double boundary_probability_of(const double* previous_q, const double* k, int64_t d) {
  return (1.0 - cpu::cosine_of(previous_q, k, d).value) / 2.0;
}

Tensor boundary_probability(const Tensor& q, const Tensor& k, const Tensor& cu_seqlens) {
  check_pair("boundary_probability", q, k, cu_seqlens);
  const ProfileScope profile("boundary_probability", 6, q.numel());
  const Tensor p = Tensor::empty({q.size(0)}, q.dtype(), q.device());
  DLCM_DISPATCH_CPU(q.device(), boundary_probability_forward(q, k, first_rows(cu_seqlens), p));
  return p;
}

BoundaryProbabilityGradients boundary_probability_backward(const Tensor& dp, const Tensor& q, const Tensor& k,
                                                           const Tensor& cu_seqlens) {
  check_pair("boundary_probability_backward", q, k, cu_seqlens);
  DLCM_CHECK(dp.rank() == 1 && dp.numel() == q.size(0) && dp.dtype() == q.dtype(),
             "boundary_probability_backward: dp has shape ", dp.shape(), " of ", dp.dtype(), ", q ",
             q.shape(), " of ", q.dtype());
  const ProfileScope profile("boundary_probability_backward", 12, q.numel());
  const BoundaryProbabilityGradients result = {q.empty_like(), k.empty_like()};
  DLCM_DISPATCH_CPU(q.device(),
                    boundary_probability_backward(dp, q, k, first_rows(cu_seqlens), result.dq, result.dk));
  return result;
}

}  // namespace dlcm::ops
