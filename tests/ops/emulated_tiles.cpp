#include "tests/ops/emulated_tiles.h"

#include "tensor/dtype.h"

namespace dlcm::test {
namespace {

bool all_zero(const void* bytes, size_t count) {
  const char* begin = static_cast<const char*>(bytes);
  return std::all_of(begin, begin + count, [](char byte) { return byte == 0; });
}

// Element i of a row.
template <class T>
T element(const std::array<char, EmulatedTiles::kMostBytes>& row, int i) {
  T value;
  std::memcpy(&value, row.data() + i * static_cast<int>(sizeof(T)), sizeof(T));
  return value;
}

float product(Bf16 a, Bf16 b) {
  return static_cast<float>(a) * static_cast<float>(b);
}

}  // namespace

thread_local std::array<EmulatedTiles::Tile, EmulatedTiles::kTiles> EmulatedTiles::tiles;
thread_local bool EmulatedTiles::is_configured = false;
std::atomic<int> EmulatedTiles::configured = 0;

void EmulatedTiles::configure(const cpu::TileConfig& config) {
  DLCM_CHECK(config.palette == 1, "LDTILECFG: palette ", static_cast<int>(config.palette));
  DLCM_CHECK(config.start_row == 0 && all_zero(config.reserved, sizeof(config.reserved)) &&
                 all_zero(config.row_bytes + kTiles, kTiles * sizeof(config.row_bytes[0])) &&
                 all_zero(config.rows + kTiles, kTiles),
             "LDTILECFG: reserved bytes are not 0");
  std::array<Tile, kTiles> fresh;
  for (int i = 0; i < kTiles; ++i) {
    fresh[i].rows = config.rows[i];
    fresh[i].row_bytes = config.row_bytes[i];
    DLCM_CHECK(fresh[i].rows <= kMostRows && fresh[i].row_bytes <= kMostBytes &&
                   (fresh[i].rows == 0) == (fresh[i].row_bytes == 0),
               "LDTILECFG: tile ", i, " of ", fresh[i].rows, " rows of ", fresh[i].row_bytes, " bytes");
  }
  tiles = fresh;
  if (!is_configured) ++configured;
  is_configured = true;
}

void EmulatedTiles::release() {
  tiles = {};
  if (is_configured) --configured;
  is_configured = false;
}

EmulatedTiles::Tile& EmulatedTiles::valid(int tile) {
  DLCM_CHECK(is_configured && tiles[tile].rows > 0, "tile ", tile, " is not configured");
  return tiles[tile];
}

// Sums of the pairs' first and second elements apart, from 0, then both together to the element of `sum`.
void EmulatedTiles::multiply_add(Tile& sum, const Tile& left, const Tile& right) {
  const int words = left.row_bytes / 4;
  DLCM_CHECK(sum.row_bytes % 4 == 0 && left.row_bytes % 4 == 0 && sum.rows == left.rows &&
                 words == right.rows && sum.row_bytes == right.row_bytes,
             "TDPBF16PS: ", sum.rows, " rows of ", sum.row_bytes, " bytes from ", left.rows, " of ",
             left.row_bytes, " and ", right.rows, " of ", right.row_bytes);
  for (int row = 0; row < sum.rows; ++row) {
    for (int column = 0; column < sum.row_bytes / 4; ++column) {
      float first = 0, second = 0;
      for (int k = 0; k < words; ++k) {
        first += product(element<Bf16>(left.bytes[row], 2 * k), element<Bf16>(right.bytes[k], 2 * column));
        second +=
            product(element<Bf16>(left.bytes[row], 2 * k + 1), element<Bf16>(right.bytes[k], 2 * column + 1));
      }
      const float total = element<float>(sum.bytes[row], column) + (first + second);
      std::memcpy(sum.bytes[row].data() + 4 * column, &total, sizeof(total));
    }
  }
}

}  // namespace dlcm::test
