// Tiles of the CPU kernels of attention: rows, keys and probabilities as operands of tile_product, and the
// products of a tile of rows with a tile of keys. Internal to tensor/ops/attention*.cpp.
//
// Inside a tile the rows are the vector lanes: scores are held as [key][row], so that maxima, sums and
// exponentials run along whole vectors. What the causal mask hides at the diagonal is not multiplied.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <limits>
#include <span>
#include <type_traits>
#include <vector>

#include "tensor/ops/attention_kernels.h"
#include "tensor/scratch.h"
#include "tensor/tile_product.h"

namespace dlcm::cpu {

template <class T>
inline constexpr T kMinusInfinity = -std::numeric_limits<T>::infinity();

// How elements E are multiplied: `Sum` is the type of sums and of all other arithmetic; a `Unit` is what one
// lane of a product takes at a time, kPair elements that follow each other in the dimension summed over.
template <class E>
struct Operand {
  using Sum = E;
  using Unit = E;
  static constexpr int64_t kPair = 1;
};
template <>
struct Operand<Bf16> {
  using Sum = float;
  using Unit = Bf16Pair;
  static constexpr int64_t kPair = 2;
};

inline constexpr int64_t pairs_of(int64_t n, int64_t pair) {
  return (n + pair - 1) / pair;
}

// One key head and the query heads that share it.
template <class E>
struct Head {
  using Sum = typename Operand<E>::Sum;

  Head(const AttentionInputs& inputs, int64_t head)
      : sizes(inputs.sizes),
        layout(inputs.layout),
        index(head),
        q(inputs.q.data<E>()),
        k(inputs.k.data<E>()),
        v(inputs.v.data<E>()) {}

  AttentionSizes sizes;
  const ops::AttentionLayout& layout;
  int64_t index;
  const E *q, *k, *v;

  // Where row r stands in a [T, heads] array.
  int64_t place(int64_t r) const {
    const int64_t group = sizes.group();
    return r / group * sizes.heads + index * group + r % group;
  }
  int64_t key_place(int64_t key) const { return key * sizes.kv_heads + index; }
  int64_t token(int64_t r) const { return r / sizes.group(); }
  Sum scale() const { return Sum{1} / std::sqrt(static_cast<Sum>(sizes.head_dim)); }
  // Of scores whose exponentials are taken to the base 2.
  Sum scale_base_2() const { return scale() * static_cast<Sum>(1.44269504088896340736); }
};

// Hands out pieces of a thread's scratch memory. Without memory it counts how much they are.
class Arena {
 public:
  explicit Arena(std::byte* memory = nullptr) : memory_(memory) {}

  template <class T>
  T* take(int64_t count) {
    std::byte* piece = memory_ == nullptr ? nullptr : memory_ + used_;
    used_ += (count * static_cast<int64_t>(sizeof(T)) + 63) / 64 * 64;
    return reinterpret_cast<T*>(piece);
  }
  int64_t used() const { return used_; }

  // A `Buffers` made from (arena, arguments ...) in the scratch memory of this thread.
  template <class Buffers, class... Arguments>
  static Buffers buffers(const Arguments&... arguments) {
    Arena counting;
    static_cast<void>(Buffers(counting, arguments...));
    Arena arena(thread_scratch<std::byte>(counting.used()));
    return Buffers(arena, arguments...);
  }

 private:
  std::byte* memory_;
  int64_t used_ = 0;
};

// Rows that will be needed soon, fetched into the L2 cache a few at a time between blocks of products: a row
// of a head is too short a run for the prefetcher of the processor.
class Ahead {
 public:
  // Rows place(0) ... place(count - 1) of d elements.
  template <class T, class Place>
  void add(const T* data, int64_t count, int64_t d, const Place& place) {
    for (int64_t i = 0; i < count; ++i) {
      const auto* row = reinterpret_cast<const std::byte*>(data + place(i) * d);
      for (int64_t byte = 0; byte < d * static_cast<int64_t>(sizeof(T)); byte += kLineBytes) {
        lines_.push_back(row + byte);
      }
    }
  }
  // Those added so far are to be fetched within this many steps.
  void spread(int64_t steps) { rate_ = pairs_of(std::ssize(lines_) - next_, steps); }
  void step() {
    const int64_t end = std::min(next_ + rate_, std::ssize(lines_));
    for (; next_ < end; ++next_) __builtin_prefetch(lines_[static_cast<size_t>(next_)], 0, 2);
  }
  void clear() {
    lines_.clear();
    next_ = 0;
  }

 private:
  static constexpr int64_t kLineBytes = 64;
  std::vector<const std::byte*> lines_;
  int64_t next_ = 0;
  int64_t rate_ = 0;
};

// Rows place(0) ... place(count - 1) of d elements one after another, rounded where they are wider than E,
// each padded with 0 to padded(d); then rows of 0 up to `rows`.
template <class E, class From, class Place>
void pack_rows(int64_t count, int64_t rows, int64_t d, const From* from, const Place& place, E* to) {
  for (int64_t i = 0; i < count; ++i, to += padded(d)) {
    if constexpr (std::is_same_v<E, From>) {
      std::copy_n(from + place(i) * d, d, to);
    } else {
      round_row(from + place(i) * d, d, to);
    }
    std::fill(to + d, to + padded(d), E{});
  }
  std::fill_n(to, (rows - count) * padded(d), E{});
}

// Packed rows as the left operand of a product that sums over their elements.
template <class E>
StridedView<typename Operand<E>::Unit> as_left(const E* rows, int64_t d) {
  using Unit = typename Operand<E>::Unit;
  return {reinterpret_cast<const Unit*>(rows), padded(d) / Operand<E>::kPair, 1};
}

// Packed rows as the right operand of a product that sums over the rows, in memory of operand_memory: they
// are that already where a unit is an element. Of an odd number the one that follows is 0.
template <class E>
void over_rows(const E* rows, int64_t count, int64_t d, typename Operand<E>::Unit* to) {
  if constexpr (Operand<E>::kPair > 1) {
    for (int64_t i = 0; i < count; i += 2, rows += 2 * padded(d), to += padded(d)) {
      for (int64_t j = 0; j < padded(d); ++j) to[j] = {rows[j], rows[j + padded(d)]};
    }
  }
}

// Memory for `count` elements in another order, none where `existing` may be used in its place.
template <class E, class Existing>
typename Operand<E>::Unit* operand_memory(Arena& arena, int64_t count, Existing* existing) {
  if constexpr (Operand<E>::kPair == 1) {
    return existing;
  } else {
    return arena.take<typename Operand<E>::Unit>(count / Operand<E>::kPair);
  }
}

// Packed rows (`lanes` of them) as the right operand of a product that sums over their elements:
// to[unit][lane].
template <class E>
void pack_columns(const E* rows, int64_t lanes, int64_t d, typename Operand<E>::Unit* to) {
  using Lane = typename Operand<E>::Sum;  // of the size of a unit; moved, not computed with
  using V = detail::Simd<Lane>;
  const int64_t units = pairs_of(d, Operand<E>::kPair);
  const int64_t stride = padded(d) / Operand<E>::kPair;
  const auto* from = reinterpret_cast<const Lane*>(rows);
  auto* target = reinterpret_cast<Lane*>(to);
  for (int64_t lane = 0; lane < lanes; lane += V::kWidth) {
    int64_t unit = 0;
    for (; unit + V::kWidth <= units; unit += V::kWidth) {
      typename V::Vector square[V::kWidth];
#pragma GCC unroll 16
      for (int i = 0; i < V::kWidth; ++i) square[i] = V::load(from + (lane + i) * stride + unit);
      transpose_square<Lane>(square);
#pragma GCC unroll 16
      for (int i = 0; i < V::kWidth; ++i) V::store(target + (unit + i) * lanes + lane, square[i]);
    }
    for (; unit < units; ++unit) {
      for (int i = 0; i < V::kWidth; ++i) {
        std::memcpy(target + unit * lanes + lane + i, from + (lane + i) * stride + unit, sizeof(Lane));
      }
    }
  }
}

// What a row tile knows of its rows: where their keys end and the bias of the last one.
template <class T>
struct RowEnds {
  int32_t end[kTileRows];
  T last_bias[kTileRows];

  template <class E>
  RowEnds(const Head<E>& head, const RowTile& tile) {
    const Tensor& bias = head.layout.last_bias;
    std::fill_n(end, kTileRows, static_cast<int32_t>(tile.key_end));  // lanes without a row too
    std::fill_n(last_bias, kTileRows, T{0});
    for (int64_t row = tile.begin; row < tile.end; ++row) {
      end[row - tile.begin] = head.layout.key_end.template data<int32_t>()[head.token(row)];
      if (bias.defined()) last_bias[row - tile.begin] = bias.template data<T>()[head.token(row)];
    }
  }
};

// Row tiles of a head that meet the same keys, and where their rows and keys stand.
template <class E>
class TilesOfHead {
 protected:
  using T = typename Operand<E>::Sum;
  static constexpr int64_t kPair = Operand<E>::kPair;

  TilesOfHead(const Head<E>& head, std::span<const RowTile> tiles)
      : head_(head), d_(head.sizes.head_dim), tiles_(tiles) {
    for (const RowTile& tile : tiles) ends_.emplace_back(head, tile);
  }

  int64_t rows_in(size_t i) const { return tiles_[i].end - tiles_[i].begin; }
  auto row_places(size_t i) const {
    return [this, i](int64_t row) { return head_.place(tiles_[i].begin + row); };
  }
  auto key_places(int64_t key) const {
    return [this, key](int64_t j) { return head_.key_place(key + j); };
  }

  const Head<E>& head_;
  int64_t d_;
  std::span<const RowTile> tiles_;
  std::vector<RowEnds<T>> ends_;
};

// A tile of rows meets a tile of keys: sizes, and how many of the keys each row sees. That number does not
// decrease from row to row.
template <class T>
struct Meeting {
  int64_t rows, lanes, first_key, keys;
  T ends[kTileRows];  // at most `keys`, may be below 0

  Meeting(const RowTile& tile, const RowEnds<T>& row_ends, int64_t key, int64_t count)
      : rows(tile.end - tile.begin), lanes(padded(rows)), first_key(key), keys(count) {
    for (int64_t lane = 0; lane < kTileRows; ++lane) {
      const int32_t end = row_ends.end[lane] - static_cast<int32_t>(key);
      ends[lane] = static_cast<T>(std::min(end, static_cast<int32_t>(count)));
    }
  }

  // Keys the row of this lane sees.
  int64_t seen(int64_t lane) const { return std::max<int64_t>(static_cast<int64_t>(ends[lane]), 0); }
  // First lane that sees this key.
  int64_t first_lane(int64_t key) const {
    int64_t lane = 0;
    while (lane + 1 < rows && ends[lane] <= static_cast<T>(key)) ++lane;
    return lane;
  }
};

// Rows or keys of a product that are cut at the same place at the diagonal.
inline constexpr int64_t kCutRows = 2 * kBlockRows;
// Steps in which `count` rows or keys are multiplied.
inline int64_t product_steps(int64_t count) {
  return pairs_of(count, kCutRows);
}

// c[key][lane] = sum over `depth` units of left(key, unit) right[unit][lane], where some row sees the key.
template <class Unit, class T>
void multiply_scores(const Meeting<T>& meeting, int64_t depth, StridedView<Unit> left, const Unit* right,
                     T* c, Ahead& ahead) {
  const int64_t lanes = meeting.lanes;
  for (int64_t key = 0; key < meeting.keys; key += kCutRows) {
    const int64_t lane = meeting.first_lane(key) / kLaneMultiple * kLaneMultiple;
    ahead.step();
    tile_product<Store::overwrite>(std::min(kCutRows, meeting.keys - key), lanes - lane, depth,
                                   left.below(key), right + lane, lanes, c + key * lanes + lane, lanes);
  }
}

// c[row][i] += sum over keys of weights[key][row] right[key][i]; kPair keys in a unit.
template <int64_t kPair, class Unit, class T>
void add_to_rows(const Meeting<T>& meeting, const Unit* weights, const Unit* right, int64_t width, T* c,
                 Ahead& ahead) {
  const StridedView<Unit> left = {weights, 1, meeting.lanes};
  for (int64_t row = 0; row < meeting.rows; row += kCutRows) {
    const int64_t count = std::min(kCutRows, meeting.rows - row);
    ahead.step();
    tile_product<Store::add>(count, width, pairs_of(meeting.seen(row + count - 1), kPair), left.below(row),
                             right, width, c + row * width, width);
  }
}

// c[key][i] += sum over rows of weights[key][row] right[row][i]; kPair rows in a unit.
template <int64_t kPair, class Unit, class T>
void add_to_keys(const Meeting<T>& meeting, const Unit* weights, const Unit* right, int64_t width, T* c,
                 Ahead& ahead) {
  const int64_t depth = pairs_of(meeting.rows, kPair);
  for (int64_t key = 0; key < meeting.keys; key += kCutRows) {
    const int64_t first = meeting.first_lane(key) / kPair;
    const StridedView<Unit> left = {weights + key * meeting.lanes / kPair + first, meeting.lanes / kPair, 1};
    ahead.step();
    tile_product<Store::add>(std::min(kCutRows, meeting.keys - key), width, depth - first, left,
                             right + first * width, width, c + key * width, width);
  }
}

// Adds biases to scores [key][lane]; those are not scaled yet, so the biases are divided by the scale.
template <class E, class T>
void add_biases(const Head<E>& head, const RowEnds<T>& row_ends, const Meeting<T>& meeting, T* scores) {
  const Tensor& key_bias = head.layout.key_bias;
  const int64_t key_end = meeting.first_key + meeting.keys;
  const bool with_last = head.layout.last_bias.defined() && row_ends.end[0] <= key_end;
  if (!with_last && !key_bias.defined()) return;
  const T factor = T{1} / head.scale();
  for (int64_t key = meeting.first_key; key < key_end; ++key, scores += meeting.lanes) {
    const T plain = key_bias.defined() ? key_bias.template data<T>()[key] * factor : T{0};
    const auto last = static_cast<int32_t>(with_last ? key + 1 : -1);
    for (int64_t lane = 0; lane < meeting.lanes; ++lane) {
      scores[lane] += row_ends.end[lane] == last ? row_ends.last_bias[lane] * factor : plain;
    }
  }
}

// Keys whose exponentials are taken together.
inline constexpr int64_t kKeyGroup = 4;

// One vector of weights of each of a group of keys as an operand of a product that sums over keys, whose
// units are `lanes` apart.
template <class Unit, class Vector>
void store_over_keys(Unit* to, int64_t lanes, const Vector (&weights)[kKeyGroup]) {
  if constexpr (std::is_same_v<Unit, Bf16Pair>) {
#pragma GCC unroll 2
    for (int64_t i = 0; i < kKeyGroup; i += 2) {
      detail::store_pairs(to + i / 2 * lanes, weights[i], weights[i + 1]);
    }
  } else {
#pragma GCC unroll 4
    for (int64_t i = 0; i < kKeyGroup; ++i) detail::Simd<Unit>::store(to + i * lanes, weights[i]);
  }
}

// The same as an operand of a product that sums over rows: a key has `units` of them.
template <class Unit, class Vector>
void store_over_rows(Unit* to, int64_t units, const Vector (&weights)[kKeyGroup]) {
  if constexpr (std::is_same_v<Unit, Bf16Pair>) {
#pragma GCC unroll 4
    for (int64_t i = 0; i < kKeyGroup; ++i) {
      detail::store_rounded(reinterpret_cast<Bf16*>(to + i * units), weights[i]);
    }
  } else {
    store_over_keys(to, units, weights);
  }
}

// Calls body(first, seen, full) for each vector of lanes: keys before `full` are seen by all its rows, those
// from `seen` on by none.
template <class T, class Body>
void for_each_vector(const Meeting<T>& meeting, const Body& body) {
  constexpr int kWidth = detail::Simd<T>::kWidth;
  for (int64_t first = 0; first < meeting.lanes; first += kWidth) {
    body(first, meeting.seen(first + kWidth - 1), meeting.seen(first));
  }
}

}  // namespace dlcm::cpu
