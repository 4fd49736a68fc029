#include "tensor/ops/attention_plan.h"

#include <algorithm>

#include <doctest/doctest.h>

namespace dlcm::test {
namespace {

// Causal self-attention of documents, each query seeing at most `width` keys.
ops::AttentionLayout documents(const std::vector<int32_t>& lengths, int32_t width) {
  std::vector<int32_t> begin, end;
  int32_t start = 0;
  for (const int32_t length : lengths) {
    for (int32_t i = 0; i < length; ++i) {
      begin.push_back(start + std::max(0, i + 1 - width));
      end.push_back(start + i + 1);
    }
    start += length;
  }
  return {Tensor::from(begin), Tensor::from(end), {}, {}};
}

bool overlap(int64_t begin_a, int64_t end_a, int64_t begin_b, int64_t end_b) {
  return std::max(begin_a, begin_b) < std::min(end_a, end_b);
}

// Every row meets every key it sees in one task; tasks of a step share nothing; a row's keys come in order.
void check_steps(const std::vector<cpu::RowTile>& tiles, const cpu::BackwardSteps& steps) {
  std::vector<int64_t> next;  // the key each tile is to meet next
  for (const cpu::RowTile& tile : tiles) next.push_back(tile.key_begin);
  for (const std::vector<cpu::BackwardTask>& tasks : steps) {
    for (size_t i = 0; i < tasks.size(); ++i) {
      const cpu::BackwardTask& a = tasks[i];
      for (size_t j = 0; j < i; ++j) {
        const cpu::BackwardTask& b = tasks[j];
        CHECK_FALSE(overlap(a.tile_begin, a.tile_end, b.tile_begin, b.tile_end));
        CHECK_FALSE(overlap(a.key_begin, a.key_end, b.key_begin, b.key_end));
      }
      for (auto index = static_cast<size_t>(a.tile_begin); index < static_cast<size_t>(a.tile_end); ++index) {
        if (!overlap(a.key_begin, a.key_end, tiles[index].key_begin, tiles[index].key_end)) continue;
        CHECK(next[index] == std::max(a.key_begin, tiles[index].key_begin));
        next[index] = std::min(a.key_end, tiles[index].key_end);
      }
    }
  }
  for (size_t i = 0; i < tiles.size(); ++i) CHECK(next[i] == tiles[i].key_end);
}

}  // namespace

TEST_CASE("attention plan: tiles begin where documents do") {
  const cpu::AttentionSizes sizes = {103, 103, 4, 2, 8};
  const std::vector<cpu::RowTile> tiles = cpu::row_tiles(sizes, documents({3, 100}, 1000));
  CHECK(tiles.size() == 5);  // 6 rows; 200 rows in four tiles
  CHECK(tiles[1].begin == 6);
  CHECK(tiles[1].end == 70);
  CHECK(tiles[1].key_begin == 3);
  CHECK(tiles[1].key_end == 35);
  CHECK(tiles[4].end == 206);
}

TEST_CASE("attention plan: runs of tiles that begin with the same key") {
  const cpu::AttentionSizes sizes = {1203, 1203, 4, 2, 8};
  const std::vector<cpu::RowTile> tiles = cpu::row_tiles(sizes, documents({3, 1200}, 10000));
  const auto count = static_cast<int64_t>(tiles.size());
  int64_t next = 0;
  for (const cpu::TileRun& run : cpu::tile_runs(tiles, 0, count)) {
    CHECK(run.begin == next);
    next = run.end;
    CHECK(run.end - run.begin <= cpu::kRunTiles);
    for (int64_t i = run.begin; i < run.end; ++i) {
      CHECK(tiles[static_cast<size_t>(i)].key_begin == tiles[static_cast<size_t>(run.begin)].key_begin);
    }
  }
  CHECK(next == count);
  CHECK(cpu::tile_runs(tiles, 0, 9).size() == 2);  // 3 tokens alone, then as many tiles as a run may have
}

TEST_CASE("attention plan: steps of the backward pass") {
  for (const int32_t width : {100000, 700, 40}) {
    for (const std::vector<int32_t>& lengths : {std::vector<int32_t>{1, 3000, 2, 511, 512, 513, 1700},
                                                std::vector<int32_t>{64}, std::vector<int32_t>{}}) {
      const ops::AttentionLayout layout = documents(lengths, width);
      const int64_t tokens = layout.key_begin.numel();
      const std::vector<cpu::RowTile> tiles = cpu::row_tiles({tokens, tokens, 2, 1, 8}, layout);
      check_steps(tiles, cpu::backward_steps(tiles));
    }
  }
}

}  // namespace dlcm::test
