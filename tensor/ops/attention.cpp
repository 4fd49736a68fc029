#include "tensor/ops/attention.h"

#include <algorithm>
#include <cmath>

#include "tensor/dispatch.h"
#include "tensor/ops/attention_rows.h"
#include "tensor/parallel.h"
#include "tensor/profile.h"
#include "tensor/scratch.h"
#include "tensor/vector_math.h"

namespace dlcm::cpu {
namespace {

// A tile with few rows (a decoding step, the end of a document) uses few lanes.
constexpr int kFewLanes = 16;
static_assert(kTileRows % kLaneMultiple == 0 && kFewLanes % kLaneMultiple == 0);

// Running maximum and sum of each row's exponentials.
template <class T, int kLanes>
struct OnlineSoftmax {
  T maximum[kLanes];
  T total[kLanes];
  T factor[kLanes];  // what earlier sums are to be multiplied with

  OnlineSoftmax() {
    std::fill_n(maximum, kLanes, kMinusInfinity<T>);
    std::fill_n(total, kLanes, T{0});
  }

  // Turns scores [keys][lane] into exponentials; returns whether any factor is not 1.
  bool update(int64_t keys, T* scores) {
    T highest[kLanes], reference[kLanes], sum[kLanes] = {};
    std::copy_n(maximum, kLanes, highest);
    for (int64_t j = 0; j < keys; ++j) {
      const T* s = scores + j * kLanes;
      for (int lane = 0; lane < kLanes; ++lane)
        highest[lane] = s[lane] > highest[lane] ? s[lane] : highest[lane];
    }
    int changed = 0;
    for (int lane = 0; lane < kLanes; ++lane) {
      reference[lane] = highest[lane] == kMinusInfinity<T> ? T{0} : highest[lane];
      factor[lane] =
          fast_exp((highest[lane] == maximum[lane] ? reference[lane] : maximum[lane]) - reference[lane]);
      changed |= highest[lane] != maximum[lane];
      maximum[lane] = highest[lane];
    }
    for (int64_t j = 0; j < keys; ++j) {
      T* s = scores + j * kLanes;
      for (int lane = 0; lane < kLanes; ++lane) {
        s[lane] = fast_exp(s[lane] - reference[lane]);
        sum[lane] += s[lane];
      }
    }
    for (int lane = 0; lane < kLanes; ++lane) total[lane] = total[lane] * factor[lane] + sum[lane];
    return changed != 0;
  }
};

template <class T, int kLanes>
void store_outputs(const Head<T>& head, const RowTile& tile, const OnlineSoftmax<T, kLanes>& softmax,
                   const T* outputs, const ops::Attention& result) {
  const int64_t d = head.sizes.head_dim;
  for (int64_t row = tile.begin; row < tile.end; ++row) {
    const int64_t lane = row - tile.begin;
    const T total = softmax.total[lane];
    const bool empty = total == 0;
    const T inverse = empty ? T{0} : T{1} / total;
    T* to = result.o.data<T>() + head.place(row) * d;
    for (int64_t i = 0; i < d; ++i) to[i] = outputs[i * kLanes + lane] * inverse;
    result.lse.data<T>()[head.place(row)] =
        empty ? kMinusInfinity<T> : softmax.maximum[lane] + std::log(total);
  }
}

template <class T, int kLanes>
void forward_tile(const Head<T>& head, const RowTile& tile, const Tensor& q, T* scratch,
                  const ops::Attention& result) {
  const int64_t d = head.sizes.head_dim;
  T* queries = scratch;
  T* outputs = queries + d * kLanes;
  T* scores = outputs + d * kLanes;
  load_columns<T, kLanes>(head, tile, q, head.scale(), queries);
  std::fill_n(outputs, d * kLanes, T{0});
  const Scores<T, kLanes> scoring(head, tile);
  OnlineSoftmax<T, kLanes> softmax;
  for (int64_t key = tile.key_begin; key < tile.key_end; key += kTileKeys) {
    const int64_t keys = std::min(kTileKeys, tile.key_end - key);
    scoring.compute(key, keys, queries, scores);
    if (softmax.update(keys, scores)) {
      for (int64_t i = 0; i < d; ++i) {
        for (int lane = 0; lane < kLanes; ++lane) outputs[i * kLanes + lane] *= softmax.factor[lane];
      }
    }
    tile_product<Store::add>(d, kLanes, keys, head.values(key).transposed(), scores, outputs);
  }
  store_outputs(head, tile, softmax, outputs, result);
}

// Later rows of a document see more keys: first and last tiles taken in turn give every thread the same
// share.
int64_t folded(int64_t index, int64_t count) {
  return index % 2 == 0 ? index / 2 : count - 1 - index / 2;
}

// Tiles of one key head such that they are worth a thread: a decoding step has few and small ones.
int64_t tile_grain(const AttentionSizes& sizes, const std::vector<RowTile>& tiles) {
  constexpr int64_t kWorthAThread = 1 << 19;  // multiplications
  int64_t work = 1;
  for (const RowTile& tile : tiles) {
    work += 2 * sizes.head_dim * (tile.end - tile.begin) * (tile.key_end - tile.key_begin);
  }
  return kWorthAThread * static_cast<int64_t>(tiles.size()) / work;
}

template <class T>
void forward(const AttentionSizes& sizes, const Tensor& q, const Tensor& k, const Tensor& v,
             const ops::AttentionLayout& layout, const ops::Attention& result) {
  const std::vector<RowTile> tiles = row_tiles(sizes, layout);
  const auto count = static_cast<int64_t>(tiles.size());
  parallel_for(count * sizes.kv_heads, tile_grain(sizes, tiles), [&](int64_t begin, int64_t end) {
    T* scratch = thread_scratch<T>((2 * sizes.head_dim + kTileKeys) * kTileRows);
    for (int64_t task = begin; task < end; ++task) {
      const Head<T> head = {sizes, layout, task % sizes.kv_heads, k, v};
      const RowTile& tile = tiles[static_cast<size_t>(folded(task / sizes.kv_heads, count))];
      if (tile.end - tile.begin <= kFewLanes) {
        forward_tile<T, kFewLanes>(head, tile, q, scratch, result);
      } else {
        forward_tile<T, kTileRows>(head, tile, q, scratch, result);
      }
    }
  });
}

// What the backward pass reads and adds to.
struct BackwardTensors {
  const Tensor& d_o;
  const Tensor& q;
  const ops::Attention& forward;
  const ops::AttentionGradients& result;
};

// Per-thread tiles of the backward pass.
template <class T>
struct BackwardScratch {
  explicit BackwardScratch(int64_t d) {
    T* next =
        thread_scratch<T>((3 * d + 2 * padded(d) + 2 * kTileKeys) * kTileRows + 2 * kTileKeys * padded(d));
    const auto take = [&next](int64_t size) {
      T* taken = next;
      next += size;
      return taken;
    };
    query_columns = take(d * kTileRows);
    d_o_columns = take(d * kTileRows);
    dq_columns = take(d * kTileRows);
    query_rows = take(padded(d) * kTileRows);
    d_o_rows = take(padded(d) * kTileRows);
    scores = take(kTileKeys * kTileRows);
    slopes = take(kTileKeys * kTileRows);
    dk = take(kTileKeys * padded(d));
    dv = take(kTileKeys * padded(d));
  }

  T *query_columns, *d_o_columns, *dq_columns;  // [head_dim][lane]
  T *query_rows, *d_o_rows;                     // [row][padded head_dim]
  T *scores, *slopes;                           // [key][lane]: probabilities, then gradients of the scores
  T *dk, *dv;                                   // [key][padded head_dim]
};

// From scores to probabilities p and, in `slopes`, from dp to ds = p (dp - sum_i do_i o_i).
template <class T, int kLanes>
void score_gradients(int64_t keys, const T* lse, const T* row_dot, T* scores, T* slopes) {
  for (int64_t j = 0; j < keys; ++j, scores += kLanes, slopes += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) {
      scores[lane] = fast_exp(scores[lane] - lse[lane]);
      slopes[lane] = scores[lane] * (slopes[lane] - row_dot[lane]);
    }
  }
}

// Adds [keys][padded head_dim] to the rows of dk or dv from `first_key` on.
template <class T>
void add_key_rows(const Head<T>& head, int64_t first_key, int64_t keys, const T* from, const Tensor& to) {
  const int64_t d = head.sizes.head_dim;
  for (int64_t j = 0; j < keys; ++j) {
    T* target = to.data<T>() + ((first_key + j) * head.sizes.kv_heads + head.index) * d;
    for (int64_t i = 0; i < d; ++i) target[i] += from[j * padded(d) + i];
  }
}

// Adds what the tile's rows and the keys [key_begin, key_end) contribute to dq, dk and dv.
template <class T, int kLanes>
void backward_tile(const Head<T>& head, const RowTile& tile, int64_t key_begin, int64_t key_end,
                   const BackwardTensors& tensors, const BackwardScratch<T>& s) {
  const int64_t d = head.sizes.head_dim;
  const int64_t rows = tile.end - tile.begin;
  load_columns<T, kLanes>(head, tile, tensors.q, head.scale(), s.query_columns);
  load_columns<T, kLanes>(head, tile, tensors.d_o, T{1}, s.d_o_columns);
  load_rows(head, tile, tensors.q, head.scale(), s.query_rows);
  load_rows(head, tile, tensors.d_o, T{1}, s.d_o_rows);
  T lse[kLanes] = {}, row_dot[kLanes] = {};
  for (int64_t lane = 0; lane < rows; ++lane) {
    const int64_t place = head.place(tile.begin + lane);
    // A row that sees nothing has -inf here; its scores are -inf too and 0 makes their exponentials 0.
    const T stored = tensors.forward.lse.data<T>()[place];
    lse[lane] = stored == kMinusInfinity<T> ? T{0} : stored;
    row_dot[lane] = dot_of(tensors.d_o.data<T>() + place * d, tensors.forward.o.data<T>() + place * d, d);
  }
  std::fill_n(s.dq_columns, d * kLanes, T{0});
  const Scores<T, kLanes> scoring(head, tile);
  for (int64_t key = key_begin; key < key_end; key += kTileKeys) {
    const int64_t keys = std::min(kTileKeys, key_end - key);
    scoring.compute(key, keys, s.query_columns, s.scores);
    tile_product<Store::overwrite>(keys, kLanes, d, head.values(key), s.d_o_columns, s.slopes);
    score_gradients<T, kLanes>(keys, lse, row_dot, s.scores, s.slopes);
    tile_product<Store::add>(d, kLanes, keys, head.keys(key).transposed(), s.slopes, s.dq_columns);
    tile_product<Store::overwrite>(keys, padded(d), rows, StridedView<T>{s.scores, kLanes, 1}, s.d_o_rows,
                                   s.dv);
    tile_product<Store::overwrite>(keys, padded(d), rows, StridedView<T>{s.slopes, kLanes, 1}, s.query_rows,
                                   s.dk);
    add_key_rows(head, key, keys, s.dv, tensors.result.dv);
    add_key_rows(head, key, keys, s.dk, tensors.result.dk);
  }
  for (int64_t lane = 0; lane < rows; ++lane) {
    T* to = tensors.result.dq.data<T>() + head.place(tile.begin + lane) * d;
    for (int64_t i = 0; i < d; ++i) to[i] += s.dq_columns[i * kLanes + lane] * head.scale();
  }
}

template <class T>
void run_backward_task(const Head<T>& head, const std::vector<RowTile>& tiles, const BackwardTask& task,
                       const BackwardTensors& tensors) {
  const BackwardScratch<T> scratch(head.sizes.head_dim);
  for (int64_t index = task.tile_begin; index < task.tile_end; ++index) {
    const RowTile& tile = tiles[static_cast<size_t>(index)];
    const int64_t begin = std::max(tile.key_begin, task.key_begin);
    const int64_t end = std::min(tile.key_end, task.key_end);
    if (begin >= end) continue;
    if (tile.end - tile.begin <= kFewLanes) {
      backward_tile<T, kFewLanes>(head, tile, begin, end, tensors, scratch);
    } else {
      backward_tile<T, kTileRows>(head, tile, begin, end, tensors, scratch);
    }
  }
}

template <class T>
void backward(const AttentionSizes& sizes, const Tensor& k, const Tensor& v,
              const ops::AttentionLayout& layout, const BackwardTensors& tensors) {
  tensors.result.dq.fill(0);
  tensors.result.dk.fill(0);
  tensors.result.dv.fill(0);
  const std::vector<RowTile> tiles = row_tiles(sizes, layout);
  for (const std::vector<BackwardTask>& tasks : backward_steps(tiles)) {
    parallel_for(static_cast<int64_t>(tasks.size()) * sizes.kv_heads, 1, [&](int64_t begin, int64_t end) {
      for (int64_t index = begin; index < end; ++index) {
        const Head<T> head = {sizes, layout, index % sizes.kv_heads, k, v};
        run_backward_task(head, tiles, tasks[static_cast<size_t>(index / sizes.kv_heads)], tensors);
      }
    });
  }
}

void attention_forward(const AttentionSizes& sizes, const Tensor& q, const Tensor& k, const Tensor& v,
                       const ops::AttentionLayout& layout, const ops::Attention& result) {
  DLCM_FLOATING(q.dtype(), T, forward<T>(sizes, q, k, v, layout, result));
}

void attention_backward(const AttentionSizes& sizes, const Tensor& k, const Tensor& v,
                        const ops::AttentionLayout& layout, const BackwardTensors& tensors) {
  DLCM_FLOATING(k.dtype(), T, backward<T>(sizes, k, v, layout, tensors));
}

}  // namespace
}  // namespace dlcm::cpu

namespace dlcm::ops {

Attention attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionLayout& layout) {
  const cpu::AttentionSizes sizes = check_attention("attention", q, k, v);
  check_layout("attention", sizes, q.dtype(), layout);
  const ProfileScope profile("attention",
                             4.0 * static_cast<double>(sizes.head_dim) * visible_pairs(sizes, layout));
  const Attention result = {q.empty_like(),
                            Tensor::empty({sizes.tokens, sizes.heads}, q.dtype(), q.device())};
  DLCM_DISPATCH_CPU(q.device(), attention_forward(sizes, q, k, v, layout, result));
  return result;
}

AttentionGradients attention_backward(const Tensor& d_o, const Tensor& q, const Tensor& k, const Tensor& v,
                                      const Attention& forward, const AttentionLayout& layout) {
  const cpu::AttentionSizes sizes = check_attention("attention_backward", q, k, v);
  check_layout("attention_backward", sizes, q.dtype(), layout);
  DLCM_CHECK(d_o.shape() == q.shape() && forward.o.shape() == q.shape() &&
                 forward.lse.shape() == (Shape{sizes.tokens, sizes.heads}),
             "attention_backward: d_o has shape ", d_o.shape(), ", o ", forward.o.shape(), ", lse ",
             forward.lse.shape(), ", q ", q.shape());
  const ProfileScope profile("attention_backward",
                             10.0 * static_cast<double>(sizes.head_dim) * visible_pairs(sizes, layout));
  const AttentionGradients result = {q.empty_like(), k.empty_like(), v.empty_like()};
  const cpu::BackwardTensors tensors = {d_o, q, forward, result};
  DLCM_DISPATCH_CPU(q.device(), attention_backward(sizes, k, v, layout, tensors));
  return result;
}

}  // namespace dlcm::ops
