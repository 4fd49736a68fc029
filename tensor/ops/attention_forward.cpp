#include <span>

#include "tensor/dispatch.h"
#include "tensor/ops/attention_kernels.h"
#include "tensor/ops/attention_tile.h"
#include "tensor/parallel.h"

namespace dlcm::cpu {
namespace {

// A row tile while the keys pass by.
template <class E>
struct ForwardRows {
  using T = typename Operand<E>::Sum;
  using Unit = typename Operand<E>::Unit;

  ForwardRows(Arena& arena, int64_t d)
      : queries(arena.take<Unit>(pairs_of(d, Operand<E>::kPair) * kTileRows)),
        outputs(arena.take<T>(padded(d) * kTileRows)),
        maximum(arena.take<T>(kTileRows)),
        reference(arena.take<T>(kTileRows)),
        total(arena.take<T>(kTileRows)) {}

  Unit* queries;  // [unit][lane]
  T* outputs;     // [row][padded head_dim], not divided by the total yet
  T* maximum;     // of the scores so far, not scaled
  T* reference;   // the same scaled; outputs and total are relative to its exponential
  T* total;       // sum of their exponentials
};

template <class E>
struct ForwardBuffers {
  using T = typename Operand<E>::Sum;
  using Unit = typename Operand<E>::Unit;

  ForwardBuffers(Arena& arena, int64_t d)
      : queries(arena.take<E>(kTileRows * padded(d))),
        keys(arena.take<E>(kTileKeys * padded(d))),
        values(arena.take<E>(kTileKeys * padded(d))),
        values_over_rows(operand_memory<E>(arena, kTileKeys * padded(d), values)),
        scores(arena.take<T>(kTileKeys * kTileRows)),
        weights(operand_memory<E>(arena, kTileKeys * kTileRows, scores)) {
    for (int64_t i = 0; i < kRunTiles; ++i) rows.emplace_back(arena, d);
  }

  E *queries, *keys, *values;  // [row or key][padded head_dim]
  Unit* values_over_rows;
  T* scores;      // [key][lane]
  Unit* weights;  // their exponentials, over keys
  std::vector<ForwardRows<E>> rows;
};

// Turns one vector of lanes of the scores into exponentials and brings maximum and total up to date; factor
// is what earlier sums are to be multiplied with.
template <class E, class T>
void softmax_vector(const Meeting<T>& meeting, T scale, int64_t first, int64_t seen, int64_t full,
                    const ForwardRows<E>& rows, const T* scores, typename Operand<E>::Unit* weights,
                    T* factor) {
  using V = detail::Simd<T>;
  using Vector = typename V::Vector;
  constexpr int64_t kPair = Operand<E>::kPair;
  const Vector ends = V::load(meeting.ends + first);
  const auto score = [&](int64_t key) { return V::load(scores + key * meeting.lanes + first); };
  const Vector before = V::load(rows.maximum + first);
  Vector highest = before;
  const auto raise = [&](Vector s) { highest = s > highest ? s : highest; };
  for (int64_t key = 0; key < full; ++key) raise(score(key));
  for (int64_t key = full; key < seen; ++key) raise(ends > static_cast<T>(key) ? score(key) : before);
  V::store(rows.maximum + first, highest);
  const Vector scaled = highest * scale;
  Vector rescale[] = {highest == before ? Vector{} : V::load(rows.reference + first) - scaled};
  exp2_each<T>(rescale);
  V::store(factor + first, rescale[0]);
  V::store(rows.reference + first, scaled);
  const Vector reference = highest == kMinusInfinity<T> ? Vector{} : scaled;

  Vector sum = {};
  // Masked after the multiplication, so that a score has the same bits whether its tile is masked or not.
  const auto exponentials = [&](int64_t key, bool masks) {
    Vector p[kKeyGroup];
#pragma GCC unroll 4
    for (int64_t i = 0; i < kKeyGroup; ++i) {
      p[i] = score(key + i) * scale - reference;
      if (masks) p[i] = ends > static_cast<T>(key + i) ? p[i] : V::all(kMinusInfinity<T>);
    }
    exp2_each<T>(p);
#pragma GCC unroll 4
    for (int64_t i = 0; i < kKeyGroup; ++i) sum += p[i];
    store_over_keys(weights + key / kPair * meeting.lanes + first, meeting.lanes, p);
  };
  int64_t key = 0;
  for (; key + kKeyGroup <= full; key += kKeyGroup) exponentials(key, false);
  for (; key < seen; key += kKeyGroup) exponentials(key, true);
  const Vector none[kKeyGroup] = {};
  for (; key < meeting.keys; key += kKeyGroup) {
    store_over_keys(weights + key / kPair * meeting.lanes + first, meeting.lanes, none);
  }
  V::store(rows.total + first, V::load(rows.total + first) * rescale[0] + sum);
}

template <class E, class O>
void store_outputs(const Head<E>& head, const RowTile& tile, const ForwardRows<E>& rows,
                   const ops::Attention& result) {
  using T = typename Operand<E>::Sum;
  const int64_t d = head.sizes.head_dim;
  constexpr T kLn2 = static_cast<T>(0.69314718055994530942);
  O* o = result.o.template data<O>();
  T* lse = result.lse.template data<T>();
  for (int64_t row = 0; row < tile.end - tile.begin; ++row) {
    const T total = rows.total[row];
    const bool empty = total == 0;
    const T inverse = empty ? T{0} : T{1} / total;
    const int64_t place = head.place(tile.begin + row);
    T* output = rows.outputs + row * padded(d);
    for (int64_t i = 0; i < d; ++i) output[i] *= inverse;
    if constexpr (std::is_same_v<O, T>) {
      std::copy_n(output, d, o + place * d);
    } else {
      round_row(output, d, o + place * d);
    }
    lse[place] = empty ? kMinusInfinity<T> : rows.reference[row] * kLn2 + std::log(total);
  }
}

// A run of row tiles: each tile of keys is packed once for all of them.
template <class E, class O>
class ForwardRun : TilesOfHead<E> {
  using Base = TilesOfHead<E>;
  using Base::d_, Base::ends_, Base::head_, Base::key_places, Base::kPair, Base::row_places, Base::rows_in,
      Base::tiles_;
  using typename Base::T;

 public:
  ForwardRun(const Head<E>& head, std::span<const RowTile> tiles)
      : Base(head, tiles), buffers_(Arena::buffers<ForwardBuffers<E>>(d_)) {}

  void run(const ops::Attention& result) {
    const int64_t key_begin = tiles_.front().key_begin, key_end = tiles_.back().key_end;
    for (size_t i = 0; i < tiles_.size(); ++i) {
      clear_rows(i);
      if (tiles_[i].key_end == key_begin) store_outputs<E, O>(head_, tiles_[i], buffers_.rows[i], result);
    }
    for (int64_t key = key_begin; key < key_end; key += kTileKeys) {
      pack_keys(key, std::min(kTileKeys, key_end - key));
      ahead_.clear();
      fetch_keys(key + kTileKeys, std::min(kTileKeys, key_end - key - kTileKeys));
      for (size_t i = 0; i < tiles_.size(); ++i) {
        if (key == key_begin) load_queries(i);
        if (key >= tiles_[i].key_end) continue;
        const bool last = key + kTileKeys >= tiles_[i].key_end;
        if (last) ahead_.add(result.o.template data<O>(), rows_in(i), d_, row_places(i));
        add_keys(i, key, std::min(kTileKeys, tiles_[i].key_end - key));
        if (last) store_outputs<E, O>(head_, tiles_[i], buffers_.rows[i], result);
      }
    }
  }

 private:
  void clear_rows(size_t i) {
    const ForwardRows<E>& rows = buffers_.rows[i];
    std::fill_n(rows.outputs, rows_in(i) * padded(d_), T{0});
    std::fill_n(rows.maximum, kTileRows, kMinusInfinity<T>);
    std::fill_n(rows.reference, kTileRows, kMinusInfinity<T>);
    std::fill_n(rows.total, kTileRows, T{0});
  }

  void load_queries(size_t i) {
    const int64_t lanes = padded(rows_in(i));
    pack_rows(rows_in(i), lanes, d_, head_.q, row_places(i), buffers_.queries);
    pack_columns(buffers_.queries, lanes, d_, buffers_.rows[i].queries);
    if (i + 1 < tiles_.size()) ahead_.add(head_.q, rows_in(i + 1), d_, row_places(i + 1));
  }

  void pack_keys(int64_t key, int64_t keys) {
    const int64_t rows = pairs_of(keys, kPair) * kPair;
    pack_rows(keys, rows, d_, head_.k, key_places(key), buffers_.keys);
    pack_rows(keys, rows, d_, head_.v, key_places(key), buffers_.values);
    over_rows(buffers_.values, keys, d_, buffers_.values_over_rows);
  }

  void fetch_keys(int64_t key, int64_t keys) {
    ahead_.add(head_.k, keys, d_, key_places(key));
    ahead_.add(head_.v, keys, d_, key_places(key));
  }

  // What these keys, the ones packed, contribute to the outputs of row tile i.
  void add_keys(size_t i, int64_t key, int64_t keys) {
    const ForwardRows<E>& rows = buffers_.rows[i];
    const Meeting<T> meeting(tiles_[i], ends_[i], key, keys);
    ahead_.spread(product_steps(meeting.keys) + product_steps(meeting.rows));
    multiply_scores(meeting, pairs_of(d_, kPair), as_left(buffers_.keys, d_), rows.queries, buffers_.scores,
                    ahead_);
    add_biases(head_, ends_[i], meeting, buffers_.scores);
    T factor[kTileRows];
    for_each_vector(meeting, [&](int64_t first, int64_t seen, int64_t full) {
      softmax_vector(meeting, head_.scale_base_2(), first, seen, full, rows, buffers_.scores,
                     buffers_.weights, factor);
    });
    for (int64_t row = 0; row < meeting.rows; ++row) {
      if (factor[row] == 1) continue;
      T* output = rows.outputs + row * padded(d_);
      for (int64_t j = 0; j < padded(d_); ++j) output[j] *= factor[row];
    }
    add_to_rows<kPair>(meeting, buffers_.weights, buffers_.values_over_rows, padded(d_), rows.outputs,
                       ahead_);
  }

  ForwardBuffers<E> buffers_;
  Ahead ahead_;
};

// Chunks of one key head such that they are worth a thread.
int64_t chunk_grain(const AttentionSizes& sizes, const std::vector<RowTile>& tiles, int64_t chunks) {
  constexpr int64_t kWorthAThread = 1 << 19;  // multiplications
  int64_t work = 1;
  for (const RowTile& tile : tiles) {
    work += 2 * sizes.head_dim * (tile.end - tile.begin) * (tile.key_end - tile.key_begin);
  }
  return kWorthAThread * chunks / work;
}

template <class E, class O>
void forward(const AttentionInputs& inputs, const ops::Attention& result) {
  const AttentionSizes& sizes = inputs.sizes;
  const std::vector<RowTile> tiles = row_tiles(sizes, inputs.layout);
  const std::vector<TileRun> runs = tile_runs(tiles, 0, static_cast<int64_t>(tiles.size()));
  const auto count = static_cast<int64_t>(runs.size());
  parallel_for(count * sizes.kv_heads, chunk_grain(sizes, tiles, count), [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const Head<E> head(inputs, task % sizes.kv_heads);
      const TileRun& run = runs[static_cast<size_t>(folded(task / sizes.kv_heads, count))];
      ForwardRun<E, O>(head, std::span(tiles).subspan(run.begin, run.end - run.begin)).run(result);
    }
  });
}

}  // namespace

void attention_forward(const AttentionInputs& inputs, const ops::Attention& result) {
  if (inputs.q.dtype() != DType::bf16) {
    DLCM_FLOATING(inputs.q.dtype(), T, forward<T, T>(inputs, result));
  } else if (result.o.dtype() == DType::bf16) {
    forward<Bf16, Bf16>(inputs, result);
  } else {
    forward<Bf16, float>(inputs, result);
  }
}

}  // namespace dlcm::cpu
