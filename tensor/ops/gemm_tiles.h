// The innermost loops of a bf16 product in AMX tiles: matrices of up to 16 rows of 64 bytes, of which the CPU
// holds eight. Internal to tensor/ops/gemm.cpp and its tests.
//
// `Tiles` is what executes them: AmxTiles (amx_tiles.h), or in the tests an emulation:
//   configure(TileConfig), release()      for the calling thread
//   zero<t>(), load<t>(from, row_bytes), store<t>(to, row_bytes)
//   multiply_add<c, a, b>()               c += a b: float32 sums of a's pairs in a row by b's in a column
#pragma once

#include <algorithm>

#include "tensor/ops/gemm_kernel.h"

namespace dlcm::cpu {

// What the instruction LDTILECFG reads.
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};
static_assert(sizeof(TileConfig) == 64);

// Rows of a full tile, and words of a row.
inline constexpr int64_t kTileEdge = 16;

// Whether panels of B are two tiles wide, as this kernel wants them.
inline constexpr bool kTilesFit = kKernelColumns<PairElement> == 2 * kTileEdge;

// A kernel of gemm_driver.h, where tiles fit: two by two tiles of C, two of A one below the other, two of B
// side by side.
template <class Tiles>
class TileKernel {
 public:
  using Element = PairElement;
  static constexpr bool kTakesAcross = false;
  static constexpr int kRows = 2 * kTileEdge;
  // With kBlockWords words each at most a quarter of a core's L2 cache, of 2 MiB where there are tiles.
  static constexpr int64_t kTaskRows[] = {224, 192, 160, 128};

  // A task's rows are shared evenly between its tiles: time and memory traffic go by their rows. Until it
  // ends the thread's tiles are configured, which makes its context larger.
  explicit TileKernel(int64_t rows) : tile_rows_(ceil_div(rows, ceil_div(rows, kTileEdge))) {
    TileConfig config;
    for (int tile = 0; tile < kTiles; ++tile) {
      config.row_bytes[tile] = kTileEdge * sizeof(uint32_t);
      config.rows[tile] = static_cast<uint8_t>(tile < kRight ? tile_rows_ : kTileEdge);
    }
    Tiles::configure(config);
  }
  TileKernel(const TileKernel&) = delete;
  TileKernel& operator=(const TileKernel&) = delete;
  ~TileKernel() { Tiles::release(); }

  int64_t rows_per_call() const { return 2 * tile_rows_; }

  void operator()(int64_t rows, const KernelCall<PairElement>& call) const {
    rows > tile_rows_ ? multiply<true>(rows, call) : multiply<false>(rows, call);
  }

 private:
  static constexpr int64_t kColumns = kKernelColumns<PairElement>;
  // Numbers of tiles: four of C, row by row, then those of A and of B.
  static constexpr int kSums = 0, kLeft = 4, kRight = 6, kTiles = 8;

  template <bool kLower>
  void multiply(int64_t rows, const KernelCall<PairElement>& call) const {
    sum<kLower>(call);
    if (!call.add && rows == (kLower ? 2 : 1) * tile_rows_) return store<kLower>(call.c, call.c_stride);
    alignas(64) float sums[kRows * kColumns];
    store<kLower>(sums, kColumns);
    store_sums(sums, rows, kColumns, kColumns, call.c, call.c_stride, call.add);
  }

  // Words beyond call.words, up to a multiple of 16, are 0 in A and B.
  template <bool kLower>
  void sum(const KernelCall<PairElement>& call) const {
    constexpr int64_t kLeftBytes = kRowStride * sizeof(uint32_t), kRightBytes = kColumns * sizeof(uint32_t);
    Tiles::template zero<kSums>();
    Tiles::template zero<kSums + 1>();
    if constexpr (kLower) {
      Tiles::template zero<kSums + 2>();
      Tiles::template zero<kSums + 3>();
    }
    for (int64_t word = 0; word < call.words; word += kTileEdge) {
      const uint32_t* a = call.a + word;
      const uint32_t* b = call.b + word * kColumns;
      Tiles::template load<kLeft>(a, kLeftBytes);
      Tiles::template load<kRight>(b, kRightBytes);
      Tiles::template load<kRight + 1>(b + kTileEdge, kRightBytes);
      Tiles::template multiply_add<kSums, kLeft, kRight>();
      Tiles::template multiply_add<kSums + 1, kLeft, kRight + 1>();
      if constexpr (kLower) {
        Tiles::template load<kLeft + 1>(a + tile_rows_ * kRowStride, kLeftBytes);
        Tiles::template multiply_add<kSums + 2, kLeft + 1, kRight>();
        Tiles::template multiply_add<kSums + 3, kLeft + 1, kRight + 1>();
      }
    }
  }

  template <bool kLower>
  void store(float* to, int64_t stride) const {
    const int64_t bytes = stride * static_cast<int64_t>(sizeof(float));
    Tiles::template store<kSums>(to, bytes);
    Tiles::template store<kSums + 1>(to + kTileEdge, bytes);
    if constexpr (kLower) {
      Tiles::template store<kSums + 2>(to + tile_rows_ * stride, bytes);
      Tiles::template store<kSums + 3>(to + tile_rows_ * stride + kTileEdge, bytes);
    }
  }

  int64_t tile_rows_;
};

}  // namespace dlcm::cpu
