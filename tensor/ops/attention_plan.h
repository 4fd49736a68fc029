// What the CPU kernels of attention compute, and in which order: tiles of query rows, and for the backward
// pass the steps in which they meet blocks of keys. Internal to tensor/ops/attention*.cpp.
//
// A row is one query of one head. The `group` heads that share a key head have their rows side by side: row r
// of a key head is token r / group, head r % group of its group.
#pragma once

#include <cstdint>
#include <vector>

#include "tensor/ops/attention.h"

namespace dlcm::cpu {

struct AttentionSizes {
  int64_t tokens, keys, heads, kv_heads, head_dim;
  int64_t group() const { return heads / kv_heads; }
};

// Query rows [begin, end) of a key head and the keys they see: all begin at key_begin, the last row ends at
// key_end.
struct RowTile {
  int64_t begin, end;
  int64_t key_begin, key_end;
};

inline constexpr int64_t kTileRows = 64;
inline constexpr int64_t kTileKeys = 64;
// Rows that meet a tile of keys while it is packed; rows and keys of one task of the backward pass.
inline constexpr int64_t kChunkRows = 512;
inline constexpr int64_t kBlockKeys = 512;

// Tiles of at most kTileRows rows. A change of key_begin starts a new one, so that the keys of every row are
// taken in tiles from its own key_begin on: the same arithmetic whatever rows are beside it.
std::vector<RowTile> row_tiles(const AttentionSizes& sizes, const ops::AttentionLayout& layout);

// Row tiles [begin, end) whose keys begin at the same one, so that they meet the same tiles of keys.
struct TileRun {
  int64_t begin, end;
};
inline constexpr int64_t kRunTiles = kChunkRows / kTileRows;
// The tiles [begin, end) in runs of at most kRunTiles.
std::vector<TileRun> tile_runs(const std::vector<RowTile>& tiles, int64_t begin, int64_t end);

// Keys [key_begin, key_end) with the row tiles [tile_begin, tile_end).
struct BackwardTask {
  int64_t tile_begin, tile_end;
  int64_t key_begin, key_end;
};
// Tasks of one step share neither rows nor keys, so they may run at once and add to dq, dk and dv without
// atomics; the steps follow each other, and the tasks of a row come in the order of their keys, those of a
// key in the order of their rows. Nothing is computed twice and the result does not depend on the threads.
using BackwardSteps = std::vector<std::vector<BackwardTask>>;
BackwardSteps backward_steps(const std::vector<RowTile>& tiles);

// Pairs of a query (of one head) and a key it sees.
double visible_pairs(const AttentionSizes& sizes, const ops::AttentionLayout& layout);

}  // namespace dlcm::cpu

namespace dlcm::ops {
// Throws Error where shapes, dtypes or ranges do not fit; `name` is the operator's.
cpu::AttentionSizes check_attention(const char* name, const Tensor& q, const Tensor& k, const Tensor& v);
void check_layout(const char* name, const cpu::AttentionSizes& sizes, DType dtype,
                  const AttentionLayout& layout);
}  // namespace dlcm::ops
