#include <algorithm>
#include <cmath>
#include <limits>

#include "tensor/dispatch.h"
#include "tensor/ops/attention.h"
#include "tensor/ops/attention_plan.h"
#include "tensor/parallel.h"
#include "tensor/profile.h"
#include "tensor/scratch.h"
#include "tensor/vector_math.h"

// The reference: one query after another, each key in turn, probabilities kept.
namespace dlcm::cpu {
namespace {

template <class T>
T bias_of(const ops::AttentionLayout& layout, int64_t t, int64_t key) {
  const bool last = key + 1 == layout.key_end.data<int32_t>()[t];
  if (last && layout.last_bias.defined()) return layout.last_bias.data<T>()[t];
  return layout.key_bias.defined() ? layout.key_bias.data<T>()[key] : T{0};
}

// Probabilities of one query over the keys [begin, end) in place of their scores.
template <class T>
void normalise(int64_t begin, int64_t end, T* p) {
  const T highest = max_of(p + begin, end - begin);
  const T reference = highest == -std::numeric_limits<T>::infinity() ? T{0} : highest;
  T total = 0;
  for (int64_t key = begin; key < end; ++key) {
    p[key] = fast_exp(p[key] - reference);
    total += p[key];
  }
  const T inverse = total == 0 ? T{0} : T{1} / total;
  for (int64_t key = begin; key < end; ++key) p[key] *= inverse;
}

// The element (row, head) of a [rows, heads, head_dim] tensor.
template <class T>
T* row_of(const Tensor& x, int64_t row, int64_t head) {
  return x.data<T>() + (row * x.size(1) + head) * x.size(2);
}

template <class T>
void forward(const AttentionSizes& sizes, const Tensor& q, const Tensor& k, const Tensor& v,
             const ops::AttentionLayout& layout, const ops::DenseAttention& result) {
  const int64_t d = sizes.head_dim;
  const T scale = T{1} / std::sqrt(static_cast<T>(d));
  result.probability.fill(0);
  parallel_for(sizes.heads * sizes.tokens, grain_for(sizes.keys * d), [&](int64_t first, int64_t last) {
    for (int64_t index = first; index < last; ++index) {
      const int64_t head = index / sizes.tokens;
      const int64_t t = index % sizes.tokens;
      const int64_t begin = layout.key_begin.data<int32_t>()[t];
      const int64_t end = layout.key_end.data<int32_t>()[t];
      T* p = result.probability.data<T>() + index * sizes.keys;
      for (int64_t key = begin; key < end; ++key) {
        p[key] = dot_of(row_of<T>(q, t, head), row_of<T>(k, key, head / sizes.group()), d) * scale +
                 bias_of<T>(layout, t, key);
      }
      normalise(begin, end, p);
      T* o = row_of<T>(result.o, t, head);
      std::fill_n(o, d, T{0});
      for (int64_t key = begin; key < end; ++key) {
        const T* value = row_of<T>(v, key, head / sizes.group());
        for (int64_t i = 0; i < d; ++i) o[i] += p[key] * value[i];
      }
    }
  });
}

// dq of one query; leaves the gradients of its scores in ds.
template <class T>
void backward_query(const AttentionSizes& sizes, int64_t head, int64_t t, const Tensor& d_o, const Tensor& k,
                    const Tensor& v, const T* p, T* ds, T* dq) {
  const int64_t d = sizes.head_dim;
  const T scale = T{1} / std::sqrt(static_cast<T>(d));
  const int64_t kv_head = head / sizes.group();
  T mean = 0;
  for (int64_t key = 0; key < sizes.keys; ++key) {
    ds[key] = p[key] == 0 ? T{0} : dot_of(row_of<T>(d_o, t, head), row_of<T>(v, key, kv_head), d);
    mean += p[key] * ds[key];
  }
  std::fill_n(dq, d, T{0});
  for (int64_t key = 0; key < sizes.keys; ++key) {
    ds[key] = p[key] * (ds[key] - mean) * scale;
    if (ds[key] == 0) continue;
    const T* from = row_of<T>(k, key, kv_head);
    const T slope = ds[key];
#pragma omp simd
    for (int64_t i = 0; i < d; ++i) dq[i] += slope * from[i];
  }
}

// One task per key head, which owns its dk and dv.
template <class T>
void backward_head(const AttentionSizes& sizes, int64_t kv_head, const Tensor& d_o, const Tensor& q,
                   const Tensor& k, const Tensor& v, const Tensor& probability,
                   const ops::AttentionGradients& result) {
  const int64_t d = sizes.head_dim;
  T* slopes = thread_scratch<T>(sizes.keys);
  for (int64_t head = kv_head * sizes.group(); head < (kv_head + 1) * sizes.group(); ++head) {
    for (int64_t t = 0; t < sizes.tokens; ++t) {
      const T* p = probability.data<T>() + (head * sizes.tokens + t) * sizes.keys;
      const T* query = row_of<T>(q, t, head);
      const T* d_out = row_of<T>(d_o, t, head);
      backward_query(sizes, head, t, d_o, k, v, p, slopes, row_of<T>(result.dq, t, head));
      for (int64_t key = 0; key < sizes.keys; ++key) {
        if (p[key] == 0) continue;
        const T weight = p[key];
        const T slope = slopes[key];
        T* dk = row_of<T>(result.dk, key, kv_head);
        T* dv = row_of<T>(result.dv, key, kv_head);
#pragma omp simd
        for (int64_t i = 0; i < d; ++i) {
          dk[i] += slope * query[i];
          dv[i] += weight * d_out[i];
        }
      }
    }
  }
}

template <class T>
void backward(const AttentionSizes& sizes, const Tensor& d_o, const Tensor& q, const Tensor& k,
              const Tensor& v, const Tensor& probability, const ops::AttentionGradients& result) {
  result.dk.fill(0);
  result.dv.fill(0);
  parallel_for(sizes.kv_heads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t head = begin; head < end; ++head) {
      backward_head<T>(sizes, head, d_o, q, k, v, probability, result);
    }
  });
}

void dense_attention_forward(const AttentionSizes& sizes, const Tensor& q, const Tensor& k, const Tensor& v,
                             const ops::AttentionLayout& layout, const ops::DenseAttention& result) {
  DLCM_FLOATING(q.dtype(), T, forward<T>(sizes, q, k, v, layout, result));
}

// Pairs that the backward pass does not skip.
int64_t seen_pairs(const Tensor& probability) {
  int64_t count = 0;
  DLCM_FLOATING(probability.dtype(), T, {
    const T* p = probability.data<T>();
    count = probability.numel() - std::count(p, p + probability.numel(), T{0});
  });
  return count;
}

void dense_attention_backward(const AttentionSizes& sizes, const Tensor& d_o, const Tensor& q,
                              const Tensor& k, const Tensor& v, const Tensor& probability,
                              const ops::AttentionGradients& result) {
  DLCM_FLOATING(q.dtype(), T, backward<T>(sizes, d_o, q, k, v, probability, result));
}

}  // namespace
}  // namespace dlcm::cpu

namespace dlcm::ops {

DenseAttention dense_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                               const AttentionLayout& layout) {
  const cpu::AttentionSizes sizes = check_attention("dense_attention", q, k, v);
  check_layout("dense_attention", sizes, q.dtype(), layout);
  const ProfileScope profile("dense_attention",
                             4.0 * static_cast<double>(sizes.head_dim) * cpu::visible_pairs(sizes, layout));
  const DenseAttention result = {
      q.empty_like(), Tensor::empty({sizes.heads, sizes.tokens, sizes.keys}, q.dtype(), q.device())};
  DLCM_DISPATCH_CPU(q.device(), dense_attention_forward(sizes, q, k, v, layout, result));
  return result;
}

AttentionGradients dense_attention_backward(const Tensor& d_o, const Tensor& q, const Tensor& k,
                                            const Tensor& v, const Tensor& probability) {
  const cpu::AttentionSizes sizes = check_attention("dense_attention_backward", q, k, v);
  DLCM_CHECK(
      d_o.shape() == q.shape() && probability.shape() == (Shape{sizes.heads, sizes.tokens, sizes.keys}),
      "dense_attention_backward: d_o has shape ", d_o.shape(), ", probability ", probability.shape(), ", q ",
      q.shape(), ", k ", k.shape());
  const ProfileScope profile("dense_attention_backward", 8.0 * static_cast<double>(sizes.head_dim),
                             cpu::seen_pairs(probability));
  const AttentionGradients result = {q.empty_like(), k.empty_like(), v.empty_like()};
  DLCM_DISPATCH_CPU(q.device(), dense_attention_backward(sizes, d_o, q, k, v, probability, result));
  return result;
}

}  // namespace dlcm::ops
