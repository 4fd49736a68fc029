#include <span>

#include "tensor/dispatch.h"
#include "tensor/ops/attention_kernels.h"
#include "tensor/ops/attention_tile.h"
#include "tensor/parallel.h"

namespace dlcm::cpu {
namespace {

// A row tile while the keys of a task pass by.
template <class E>
struct BackwardRows {
  using T = typename Operand<E>::Sum;
  using Unit = typename Operand<E>::Unit;

  BackwardRows(Arena& arena, int64_t d)
      : query_columns(arena.take<Unit>(pairs_of(d, Operand<E>::kPair) * kTileRows)),
        d_o_columns(arena.take<Unit>(pairs_of(d, Operand<E>::kPair) * kTileRows)),
        queries(arena.take<E>(padded(d) * kTileRows)),
        d_o(arena.take<E>(padded(d) * kTileRows)),
        queries_over_rows(operand_memory<E>(arena, padded(d) * kTileRows, queries)),
        d_o_over_rows(operand_memory<E>(arena, padded(d) * kTileRows, d_o)),
        dq(arena.take<T>(padded(d) * kTileRows)),
        lse(arena.take<T>(kTileRows)),
        row_dot(arena.take<T>(kTileRows)) {}

  Unit *query_columns, *d_o_columns;  // [unit][lane]
  E *queries, *d_o;                   // [row][padded head_dim]
  Unit *queries_over_rows, *d_o_over_rows;
  T* dq;       // [row][padded head_dim], not scaled
  T* lse;      // to the base 2; +inf makes the probabilities of a row 0
  T* row_dot;  // sum_i do_i o_i
};

template <class E>
struct BackwardBuffers {
  using T = typename Operand<E>::Sum;
  using Unit = typename Operand<E>::Unit;

  BackwardBuffers(Arena& arena, int64_t d)
      : keys(arena.take<E>(kTileKeys * padded(d))),
        values(arena.take<E>(kTileKeys * padded(d))),
        keys_over_rows(operand_memory<E>(arena, kTileKeys * padded(d), keys)),
        dk(arena.take<T>(kTileKeys * padded(d))),
        dv(arena.take<T>(kTileKeys * padded(d))),
        scores(arena.take<T>(kTileKeys * kTileRows)),
        slopes(arena.take<T>(kTileKeys * kTileRows)),
        p_over_rows(operand_memory<E>(arena, kTileKeys * kTileRows, scores)),
        ds_over_rows(operand_memory<E>(arena, kTileKeys * kTileRows, slopes)),
        ds_over_keys(operand_memory<E>(arena, kTileKeys * kTileRows, slopes)),
        wide_row(arena.take<T>(d)) {
    for (int64_t i = 0; i < kRunTiles; ++i) rows.emplace_back(arena, d);
  }

  E *keys, *values;  // [key][padded head_dim]
  Unit* keys_over_rows;
  T *dk, *dv;          // [key][padded head_dim]; dk not scaled
  T *scores, *slopes;  // [key][lane]; slopes are the gradients dp of the probabilities
  Unit *p_over_rows, *ds_over_rows, *ds_over_keys;
  T* wide_row;  // of d_o
  std::vector<BackwardRows<E>> rows;
};

// One vector of lanes from scores and dp to probabilities p and ds = p (dp - row_dot), as operands.
template <class E, class T>
void score_gradients(const Meeting<T>& meeting, T scale, int64_t first, int64_t seen, int64_t full,
                     const BackwardRows<E>& rows, const BackwardBuffers<E>& buffers) {
  using V = detail::Simd<T>;
  using Vector = typename V::Vector;
  constexpr int64_t kPair = Operand<E>::kPair;
  const int64_t lanes = meeting.lanes;
  const Vector ends = V::load(meeting.ends + first), lse = V::load(rows.lse + first);
  const Vector row_dot = V::load(rows.row_dot + first);
  const auto store = [&](int64_t key, const Vector(&p)[kKeyGroup], const Vector(&ds)[kKeyGroup]) {
    const int64_t unit = (key * lanes + first) / kPair;
    store_over_rows(buffers.p_over_rows + unit, lanes / kPair, p);
    store_over_rows(buffers.ds_over_rows + unit, lanes / kPair, ds);
    if constexpr (kPair > 1) store_over_keys(buffers.ds_over_keys + key / kPair * lanes + first, lanes, ds);
  };
  const auto gradients = [&](int64_t key, bool masks) {
    Vector p[kKeyGroup], ds[kKeyGroup];
    const int64_t start = key * lanes + first;
#pragma GCC unroll 4
    for (int64_t i = 0; i < kKeyGroup; ++i) p[i] = V::load(buffers.scores + start + i * lanes) * scale - lse;
    exp2_each<T>(p);
#pragma GCC unroll 4
    for (int64_t i = 0; i < kKeyGroup; ++i) {
      ds[i] = p[i] * (V::load(buffers.slopes + start + i * lanes) - row_dot);
      if (!masks) continue;
      const auto sees = ends > static_cast<T>(key + i);
      p[i] = sees ? p[i] : Vector{};
      ds[i] = sees ? ds[i] : Vector{};
    }
    store(key, p, ds);
  };
  int64_t key = 0;
  for (; key + kKeyGroup <= full; key += kKeyGroup) gradients(key, false);
  for (; key < seen; key += kKeyGroup) gradients(key, true);
  const Vector none[kKeyGroup] = {};
  for (; key < meeting.keys; key += kKeyGroup) store(key, none, none);
}

// Of the row of d_o as it is multiplied elsewhere too: that of a row with a single key is then its dp.
template <class E, class T>
T dot_of_row(const E* d_o, const T* o, int64_t d, T* wide) {
  if constexpr (std::is_same_v<E, T>) {
    return dot_of(d_o, o, d);
  } else {
    for (int64_t i = 0; i < d; ++i) wide[i] = static_cast<T>(d_o[i]);
    return dot_of(wide, o, d);
  }
}

// to[place(i)] += factor x row i of [count][padded head_dim].
template <class T, class Place>
void add_rows(int64_t count, int64_t d, T factor, const T* from, const Place& place, T* to) {
  for (int64_t i = 0; i < count; ++i, from += padded(d)) {
    T* target = to + place(i) * d;
    for (int64_t j = 0; j < d; ++j) target[j] += from[j] * factor;
  }
}

// A run of row tiles with a block of keys: each tile of keys is packed once for all rows, each row once for
// all keys.
template <class E>
class BackwardRun : TilesOfHead<E> {
  using Base = TilesOfHead<E>;
  using Base::d_, Base::ends_, Base::head_, Base::key_places, Base::kPair, Base::row_places, Base::rows_in,
      Base::tiles_;
  using typename Base::T;

 public:
  BackwardRun(const Head<E>& head, std::span<const RowTile> tiles, const Tensor& d_o,
              const ops::Attention& forward, const ops::AttentionGradients& result)
      : Base(head, tiles),
        d_o_(d_o.data<T>()),
        o_(forward.o.data<T>()),
        lse_(forward.lse.data<T>()),
        dq_(result.dq.data<T>()),
        dk_(result.dk.data<T>()),
        dv_(result.dv.data<T>()),
        buffers_(Arena::buffers<BackwardBuffers<E>>(d_)) {}

  void run(int64_t key_begin, int64_t key_end) {
    for (int64_t key = key_begin; key < key_end; key += kTileKeys) {
      const int64_t keys = std::min(kTileKeys, key_end - key);
      start_keys(key, keys);
      ahead_.clear();
      fetch_keys(key, key_end);
      for (size_t i = 0; i < tiles_.size(); ++i) {
        if (key == key_begin) load_rows(i);
        if (key >= tiles_[i].key_end) continue;
        const int64_t tile_end = std::min(key_end, tiles_[i].key_end);
        const bool last = key + kTileKeys >= tile_end;
        if (last) ahead_.add(dq_, rows_in(i), d_, row_places(i));
        add_products(i, key, std::min(kTileKeys, tile_end - key));
        if (last) add_rows(rows_in(i), d_, head_.scale(), buffers_.rows[i].dq, row_places(i), dq_);
      }
      add_rows(keys, d_, head_.scale(), buffers_.dk, key_places(key), dk_);
      add_rows(keys, d_, T{1}, buffers_.dv, key_places(key), dv_);
    }
  }

 private:
  void load_rows(size_t i) {
    const BackwardRows<E>& rows = buffers_.rows[i];
    const int64_t lanes = padded(rows_in(i));
    pack_rows(rows_in(i), lanes, d_, head_.q, row_places(i), rows.queries);
    pack_rows(rows_in(i), lanes, d_, d_o_, row_places(i), rows.d_o);
    pack_columns(rows.queries, lanes, d_, rows.query_columns);
    pack_columns(rows.d_o, lanes, d_, rows.d_o_columns);
    over_rows(rows.queries, lanes, d_, rows.queries_over_rows);
    over_rows(rows.d_o, lanes, d_, rows.d_o_over_rows);
    std::fill_n(rows.dq, rows_in(i) * padded(d_), T{0});
    std::fill_n(rows.lse, kTileRows, -kMinusInfinity<T>);
    std::fill_n(rows.row_dot, kTileRows, T{0});
    for (int64_t row = 0; row < rows_in(i); ++row) {
      const int64_t place = head_.place(tiles_[i].begin + row);
      if (lse_[place] != kMinusInfinity<T>)
        rows.lse[row] = lse_[place] * static_cast<T>(1.44269504088896340736);
      rows.row_dot[row] = dot_of_row(rows.d_o + row * padded(d_), o_ + place * d_, d_, buffers_.wide_row);
    }
    if (i + 1 < tiles_.size()) {
      ahead_.add(head_.q, rows_in(i + 1), d_, row_places(i + 1));
      ahead_.add(d_o_, rows_in(i + 1), d_, row_places(i + 1));
      ahead_.add(o_, rows_in(i + 1), d_, row_places(i + 1));
    }
  }

  void start_keys(int64_t key, int64_t keys) {
    const int64_t rows = pairs_of(keys, kPair) * kPair;
    pack_rows(keys, rows, d_, head_.k, key_places(key), buffers_.keys);
    pack_rows(keys, rows, d_, head_.v, key_places(key), buffers_.values);
    over_rows(buffers_.keys, keys, d_, buffers_.keys_over_rows);
    std::fill_n(buffers_.dk, keys * padded(d_), T{0});
    std::fill_n(buffers_.dv, keys * padded(d_), T{0});
  }

  // The keys that come next, and where the gradients of these go.
  void fetch_keys(int64_t key, int64_t key_end) {
    const int64_t keys = std::min(kTileKeys, key_end - key);
    ahead_.add(dk_, keys, d_, key_places(key));
    ahead_.add(dv_, keys, d_, key_places(key));
    const int64_t next = key + keys, next_keys = std::min(kTileKeys, key_end - next);
    ahead_.add(head_.k, next_keys, d_, key_places(next));
    ahead_.add(head_.v, next_keys, d_, key_places(next));
  }

  // What row tile i and these keys, the ones packed, contribute to dq, dk and dv.
  void add_products(size_t i, int64_t key, int64_t keys) {
    const BackwardRows<E>& rows = buffers_.rows[i];
    const BackwardBuffers<E>& b = buffers_;
    const Meeting<T> meeting(tiles_[i], ends_[i], key, keys);
    const int64_t depth = pairs_of(d_, kPair), width = padded(d_);
    ahead_.spread(4 * product_steps(meeting.keys) + product_steps(meeting.rows));
    multiply_scores(meeting, depth, as_left(b.keys, d_), rows.query_columns, b.scores, ahead_);
    multiply_scores(meeting, depth, as_left(b.values, d_), rows.d_o_columns, b.slopes, ahead_);
    add_biases(head_, ends_[i], meeting, b.scores);
    for_each_vector(meeting, [&](int64_t first, int64_t seen, int64_t full) {
      score_gradients(meeting, head_.scale_base_2(), first, seen, full, rows, b);
    });
    add_to_keys<kPair>(meeting, b.p_over_rows, rows.d_o_over_rows, width, b.dv, ahead_);
    add_to_keys<kPair>(meeting, b.ds_over_rows, rows.queries_over_rows, width, b.dk, ahead_);
    add_to_rows<kPair>(meeting, b.ds_over_keys, b.keys_over_rows, width, rows.dq, ahead_);
  }

  const T *d_o_, *o_, *lse_;
  T *dq_, *dk_, *dv_;
  BackwardBuffers<E> buffers_;
  Ahead ahead_;
};

template <class E>
void backward(const AttentionInputs& inputs, const Tensor& d_o, const ops::Attention& forward,
              const ops::AttentionGradients& result) {
  result.dq.fill(0);
  result.dk.fill(0);
  result.dv.fill(0);
  const AttentionSizes& sizes = inputs.sizes;
  const std::vector<RowTile> tiles = row_tiles(sizes, inputs.layout);
  const auto run_task = [&](const BackwardTask& task, int64_t head_index) {
    const Head<E> head(inputs, head_index);
    for (const TileRun& run : tile_runs(tiles, task.tile_begin, task.tile_end)) {
      const auto rows = std::span(tiles).subspan(run.begin, run.end - run.begin);
      const int64_t key_begin = std::max(rows.front().key_begin, task.key_begin);
      const int64_t key_end = std::min(rows.back().key_end, task.key_end);
      if (key_begin < key_end) BackwardRun<E>(head, rows, d_o, forward, result).run(key_begin, key_end);
    }
  };
  for (const std::vector<BackwardTask>& tasks : backward_steps(tiles)) {
    parallel_for(static_cast<int64_t>(tasks.size()) * sizes.kv_heads, 1, [&](int64_t begin, int64_t end) {
      for (int64_t index = begin; index < end; ++index) {
        run_task(tasks[static_cast<size_t>(index / sizes.kv_heads)], index % sizes.kv_heads);
      }
    });
  }
}

}  // namespace

void attention_backward(const AttentionInputs& inputs, const Tensor& d_o, const ops::Attention& forward,
                        const ops::AttentionGradients& result) {
  if (inputs.q.dtype() == DType::bf16) {
    backward<Bf16>(inputs, d_o, forward, result);
  } else {
    DLCM_FLOATING(inputs.q.dtype(), T, backward<T>(inputs, d_o, forward, result));
  }
}

}  // namespace dlcm::cpu
