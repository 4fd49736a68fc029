#include "tensor/ops/attention_plan.h"

#include <algorithm>

namespace dlcm::cpu {
namespace {

// Appends tiles of the rows of tokens [begin, end), which have one key_begin.
void append_tiles(int64_t begin, int64_t end, int64_t group, const ops::AttentionLayout& layout,
                  std::vector<RowTile>& tiles) {
  const int32_t* key_end = layout.key_end.data<int32_t>();
  const int64_t key_begin = layout.key_begin.data<int32_t>()[begin];
  for (int64_t row = begin * group; row < end * group; row += kTileRows) {
    const int64_t row_end = std::min(end * group, row + kTileRows);
    tiles.push_back({row, row_end, key_begin, key_end[(row_end - 1) / group]});
  }
}

}  // namespace

std::vector<RowTile> row_tiles(const AttentionSizes& sizes, const ops::AttentionLayout& layout) {
  const int32_t* key_begin = layout.key_begin.data<int32_t>();
  std::vector<RowTile> tiles;
  int64_t begin = 0;
  for (int64_t t = 1; t <= sizes.tokens; ++t) {
    if (t < sizes.tokens && key_begin[t] == key_begin[begin]) continue;
    append_tiles(begin, t, sizes.group(), layout, tiles);
    begin = t;
  }
  return tiles;
}

std::vector<TileRun> tile_runs(const std::vector<RowTile>& tiles, int64_t begin, int64_t end) {
  std::vector<TileRun> runs;
  for (int64_t first = begin, next = begin; first < end; first = next) {
    const int64_t key_begin = tiles[static_cast<size_t>(first)].key_begin;
    while (next < std::min(end, first + kRunTiles) &&
           tiles[static_cast<size_t>(next)].key_begin == key_begin) {
      ++next;
    }
    runs.push_back({first, next});
  }
  return runs;
}

BackwardSteps backward_steps(const std::vector<RowTile>& tiles) {
  BackwardSteps steps;
  const int64_t count = static_cast<int64_t>(tiles.size());
  const auto tile = [&](int64_t index) { return tiles[static_cast<size_t>(index)]; };
  std::vector<size_t> block_free;  // first step in which a block of keys is free
  // A component is a run of tiles whose keys no other tile sees, a document for example; its blocks of keys
  // are counted from `base`.
  int64_t base = 0;
  int64_t reach = 0;
  for (int64_t begin = 0, end = 0; begin < count; begin = end) {
    if (tile(begin).key_begin >= reach) {
      base = tile(begin).key_begin;
      block_free.clear();
    }
    while (end < count && tile(end).end - tile(begin).begin <= kChunkRows &&
           (end == begin || tile(end).key_begin < reach || tile(end).key_begin == base)) {
      reach = std::max(reach, tile(end).key_end);
      ++end;
    }
    size_t rows_free = 0;
    const int64_t chunk_end = tile(end - 1).key_end;
    for (int64_t block = (tile(begin).key_begin - base) / kBlockKeys; base + block * kBlockKeys < chunk_end;
         ++block) {
      if (block_free.size() <= static_cast<size_t>(block)) block_free.resize(static_cast<size_t>(block) + 1);
      size_t& free = block_free[static_cast<size_t>(block)];
      const size_t step = std::max(rows_free, free);
      free = rows_free = step + 1;
      if (steps.size() <= step) steps.resize(step + 1);
      const int64_t first_key = base + block * kBlockKeys;
      steps[step].push_back({begin, end, first_key, std::min(chunk_end, first_key + kBlockKeys)});
    }
  }
  return steps;
}

double visible_pairs(const AttentionSizes& sizes, const ops::AttentionLayout& layout) {
  double pairs = 0;
  for (int64_t t = 0; t < sizes.tokens; ++t) {
    pairs += layout.key_end.data<int32_t>()[t] - layout.key_begin.data<int32_t>()[t];
  }
  return pairs * static_cast<double>(sizes.heads);
}

}  // namespace dlcm::cpu

namespace dlcm::ops {
namespace {

void check_bias(const char* name, const char* what, const Tensor& bias, int64_t size, DType dtype) {
  if (!bias.defined()) return;
  DLCM_CHECK(bias.shape() == Shape{size} && bias.dtype() == dtype, name, ": ", what, " is ", bias.shape(),
             " of ", bias.dtype(), ", expected ", Shape{size}, " of ", dtype);
}

}  // namespace

cpu::AttentionSizes check_attention(const char* name, const Tensor& q, const Tensor& k, const Tensor& v) {
  DLCM_CHECK(q.rank() == 3 && k.rank() == 3 && k.shape() == v.shape() && q.size(2) == k.size(2), name,
             ": q has shape ", q.shape(), ", k ", k.shape(), ", v ", v.shape(),
             "; expected [T, heads, head_dim], [M, kv_heads, head_dim] and that of k");
  DLCM_CHECK(q.dtype() == k.dtype() && q.dtype() == v.dtype(), name, ": q is ", q.dtype(), ", k ", k.dtype(),
             ", v ", v.dtype(), "; expected one dtype");
  const cpu::AttentionSizes sizes = {q.size(0), k.size(0), q.size(1), k.size(1), q.size(2)};
  DLCM_CHECK(sizes.kv_heads > 0 && sizes.heads > 0 && sizes.head_dim > 0 && sizes.heads % sizes.kv_heads == 0,
             name, ": ", sizes.heads, " heads of dimension ", sizes.head_dim, " and ", sizes.kv_heads,
             " key heads; heads must be a multiple of key heads");
  return sizes;
}

void check_layout(const char* name, const cpu::AttentionSizes& sizes, DType dtype,
                  const AttentionLayout& layout) {
  const Shape shape = {sizes.tokens};
  DLCM_CHECK(layout.key_begin.shape() == shape && layout.key_end.shape() == shape &&
                 layout.key_begin.dtype() == DType::i32 && layout.key_end.dtype() == DType::i32,
             name, ": key_begin has shape ", layout.key_begin.shape(), ", key_end ", layout.key_end.shape(),
             "; expected ", shape, " of i32");
  check_bias(name, "key_bias", layout.key_bias, sizes.keys, dtype);
  check_bias(name, "last_bias", layout.last_bias, sizes.tokens, dtype);
  const int32_t* begin = layout.key_begin.data<int32_t>();
  const int32_t* end = layout.key_end.data<int32_t>();
  for (int64_t t = 0; t < sizes.tokens; ++t) {
    DLCM_CHECK(0 <= begin[t] && begin[t] <= end[t] && end[t] <= sizes.keys, name, ": query ", t, " has keys ",
               begin[t], " to ", end[t], ", expected a range within 0 to ", sizes.keys);
    DLCM_CHECK(t == 0 || (begin[t - 1] <= begin[t] && end[t - 1] <= end[t]), name, ": query ", t,
               " has keys ", begin[t], " to ", end[t], " after ", begin[t - 1], " to ", end[t - 1],
               "; ranges must not go back");
  }
}

}  // namespace dlcm::ops
