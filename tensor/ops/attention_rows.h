// Query rows of a tile as the CPU kernels of attention hold them, and their scores. Internal to
// attention.cpp.
//
// Inside a tile the rows are the vector lanes: scores are held as [key][row], outputs as [dimension][row], so
// that maxima, sums and exponentials run along whole vectors and keys and values are read where they are.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "tensor/ops/attention_plan.h"
#include "tensor/tile_product.h"

namespace dlcm::cpu {

template <class T>
inline constexpr T kMinusInfinity = -std::numeric_limits<T>::infinity();

inline int64_t padded(int64_t n) {
  return (n + kLaneMultiple - 1) / kLaneMultiple * kLaneMultiple;
}

// One key head and the query heads that share it.
template <class T>
struct Head {
  AttentionSizes sizes;
  const ops::AttentionLayout& layout;
  int64_t index;
  const Tensor& k;
  const Tensor& v;

  // Where row r stands in a [T, heads] array.
  int64_t place(int64_t r) const {
    const int64_t group = sizes.group();
    return r / group * sizes.heads + index * group + r % group;
  }
  int64_t token(int64_t r) const { return r / sizes.group(); }
  StridedView<T> keys(int64_t first) const { return view(k, first); }
  StridedView<T> values(int64_t first) const { return view(v, first); }
  T scale() const { return T{1} / std::sqrt(static_cast<T>(sizes.head_dim)); }

 private:
  StridedView<T> view(const Tensor& x, int64_t first) const {
    return {x.data<T>() + (first * sizes.kv_heads + index) * sizes.head_dim, sizes.kv_heads * sizes.head_dim,
            1};
  }
};

// to[dimension][lane] = factor x the tile's rows; lanes without a row are 0.
template <class T, int kLanes>
void load_columns(const Head<T>& head, const RowTile& tile, const Tensor& x, T factor, T* to) {
  const int64_t d = head.sizes.head_dim;
  if (tile.end - tile.begin < kLanes) std::fill_n(to, d * kLanes, T{0});
  for (int64_t row = tile.begin; row < tile.end; ++row) {
    const T* from = x.data<T>() + head.place(row) * d;
    T* column = to + (row - tile.begin);
    for (int64_t i = 0; i < d; ++i) column[i * kLanes] = from[i] * factor;
  }
}

// to[row][dimension] = factor x the tile's rows, padded with 0.
template <class T>
void load_rows(const Head<T>& head, const RowTile& tile, const Tensor& x, T factor, T* to) {
  const int64_t d = head.sizes.head_dim;
  for (int64_t row = tile.begin; row < tile.end; ++row, to += padded(d)) {
    const T* from = x.data<T>() + head.place(row) * d;
    for (int64_t i = 0; i < d; ++i) to[i] = from[i] * factor;
    std::fill(to + d, to + padded(d), T{0});
  }
}

// Scores of the tile's rows (lanes) with a tile of keys, biases and mask included.
template <class T, int kLanes>
class Scores {
 public:
  Scores(const Head<T>& head, const RowTile& tile) : head_(head), first_end_(tile.key_end) {
    std::fill_n(end_, kLanes, static_cast<int32_t>(tile.key_end));
    std::fill_n(last_bias_, kLanes, T{0});
    for (int64_t row = tile.begin; row < tile.end; ++row) {
      end_[row - tile.begin] = head.layout.key_end.template data<int32_t>()[head.token(row)];
      if (head.layout.last_bias.defined()) {
        last_bias_[row - tile.begin] = head.layout.last_bias.template data<T>()[head.token(row)];
      }
    }
    first_end_ = end_[0];
  }

  // scores[key][lane], -inf where a row does not see the key; queries [head_dim][lane] are scaled already.
  void compute(int64_t first_key, int64_t keys, const T* queries, T* scores) const {
    tile_product<Store::overwrite>(keys, kLanes, head_.sizes.head_dim, head_.keys(first_key), queries,
                                   scores);
    const bool has_last_bias = head_.layout.last_bias.defined();
    if (head_.layout.key_bias.defined()) {
      const T* bias = head_.layout.key_bias.template data<T>() + first_key;
      add_bias(keys, bias, has_last_bias && first_key + keys >= first_end_, first_key, scores);
    } else if (has_last_bias && first_key + keys >= first_end_) {
      add_bias(keys, nullptr, true, first_key, scores);
    }
    if (first_key + keys > first_end_) mask(first_key, keys, scores);
  }

 private:
  void add_bias(int64_t keys, const T* bias, bool with_last, int64_t first_key, T* scores) const {
    for (int64_t j = 0; j < keys; ++j, scores += kLanes) {
      const T plain = bias ? bias[j] : T{0};
      const auto last = static_cast<int32_t>(first_key + j + 1);
      if (with_last) {
        for (int lane = 0; lane < kLanes; ++lane)
          scores[lane] += end_[lane] == last ? last_bias_[lane] : plain;
      } else {
        for (int lane = 0; lane < kLanes; ++lane) scores[lane] += plain;
      }
    }
  }

  void mask(int64_t first_key, int64_t keys, T* scores) const {
    for (int64_t j = 0; j < keys; ++j, scores += kLanes) {
      const auto key = static_cast<int32_t>(first_key + j);
      for (int lane = 0; lane < kLanes; ++lane) {
        scores[lane] = key < end_[lane] ? scores[lane] : kMinusInfinity<T>;
      }
    }
  }

  const Head<T>& head_;
  int64_t first_end_;  // ends do not decrease: keys before this one are seen by every row
  int32_t end_[kLanes];
  T last_bias_[kLanes];
};

}  // namespace dlcm::cpu
