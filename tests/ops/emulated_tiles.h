// The tile instructions of AMX on any CPU, as Intel's manual defines them, for gemm_tiles.h: each thread has
// tiles of its own, and what would fault throws. But that AMX takes denormal numbers for 0.
#pragma once

#include <array>
#include <atomic>
#include <cstring>

#include "tensor/check.h"
#include "tensor/ops/gemm_tiles.h"

namespace dlcm::test {

class EmulatedTiles {
 public:
  static constexpr int kTiles = 8;
  static constexpr int kMostRows = 16, kMostBytes = 64;

  static void configure(const cpu::TileConfig& config);
  static void release();
  // Threads whose tiles are configured.
  static int configured_threads() { return configured; }

  template <int kTile>
  static void zero() {
    valid(kTile).bytes = {};
  }

  template <int kTile>
  static void load(const void* from, int64_t row_bytes) {
    Tile& tile = valid(kTile);
    tile.bytes = {};
    for (int row = 0; row < tile.rows; ++row) {
      std::memcpy(tile.bytes[row].data(), static_cast<const char*>(from) + row * row_bytes, tile.row_bytes);
    }
  }

  template <int kTile>
  static void store(void* to, int64_t row_bytes) {
    const Tile& tile = valid(kTile);
    for (int row = 0; row < tile.rows; ++row) {
      std::memcpy(static_cast<char*>(to) + row * row_bytes, tile.bytes[row].data(), tile.row_bytes);
    }
  }

  template <int kSum, int kLeft, int kRight>
  static void multiply_add() {
    static_assert(kSum != kLeft && kSum != kRight && kLeft != kRight);
    multiply_add(valid(kSum), valid(kLeft), valid(kRight));
  }

 private:
  struct Tile {
    int rows = 0;
    int row_bytes = 0;
    std::array<std::array<char, kMostBytes>, kMostRows> bytes = {};
  };

  static Tile& valid(int tile);
  static void multiply_add(Tile& sum, const Tile& left, const Tile& right);

  static thread_local std::array<Tile, kTiles> tiles;
  static thread_local bool is_configured;
  static std::atomic<int> configured;
};

}  // namespace dlcm::test
