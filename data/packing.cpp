#include "data/packing.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include <zlib.h>

namespace dlcm::data {

uint32_t checksum_of(const std::vector<Piece>& pieces) {
  uLong checksum = 0;
  const auto add = [&](const void* bytes, size_t count) {
    checksum = crc32_z(checksum, static_cast<const Bytef*>(bytes), count);
  };
  for (const Piece& piece : pieces) {
    const int64_t size = piece.size();
    add(&size, sizeof(size));
    add(piece.tokens.data(), piece.tokens.size() * sizeof(int32_t));
  }
  return static_cast<uint32_t>(checksum);
}

PackedBatch pack(const std::vector<const Piece*>& pieces) {
  int64_t total = 0;
  for (const Piece* piece : pieces) total += piece->size();
  DLCM_CHECK(total < std::numeric_limits<int32_t>::max(), "a packed batch of ", total, " tokens");
  std::vector<int32_t> tokens, targets, cu_seqlens = {0};
  std::vector<int64_t> samples;
  tokens.reserve(static_cast<size_t>(total));
  targets.reserve(static_cast<size_t>(total));
  for (const Piece* piece : pieces) {
    DLCM_CHECK(!piece->tokens.empty(), "a packed batch with an empty piece");
    tokens.insert(tokens.end(), piece->tokens.begin(), piece->tokens.end());
    targets.insert(targets.end(), piece->tokens.begin() + 1, piece->tokens.end());
    targets.push_back(piece->following);
    cu_seqlens.push_back(static_cast<int32_t>(tokens.size()));
    samples.push_back(piece->sample);
  }
  return {Tensor::from(tokens), Tensor::from(targets), Tensor::from(cu_seqlens), Tensor::from(samples)};
}

std::vector<PackedBatch> micro_batches(const std::vector<Piece>& pieces, int64_t micro_tokens) {
  std::vector<size_t> order(pieces.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return pieces[a].size() > pieces[b].size(); });
  std::vector<std::vector<size_t>> bins;
  std::vector<int64_t> room;
  for (const size_t index : order) {
    const int64_t size = pieces[index].size();
    DLCM_CHECK_INPUT(size <= micro_tokens, "train.micro_tokens is ", micro_tokens, ", but a piece has ", size,
                     " tokens: it must be at least train.context");
    const auto found = std::find_if(room.begin(), room.end(), [&](int64_t left) { return left >= size; });
    const auto bin = static_cast<size_t>(found - room.begin());
    if (found == room.end()) {
      bins.emplace_back();
      room.push_back(micro_tokens);
    }
    bins[bin].push_back(index);
    room[bin] -= size;
  }
  std::vector<PackedBatch> batches;
  for (std::vector<size_t>& bin : bins) {
    std::sort(bin.begin(), bin.end());
    std::vector<const Piece*> chosen;
    for (const size_t index : bin) chosen.push_back(&pieces[index]);
    batches.push_back(pack(chosen));
  }
  return batches;
}

}  // namespace dlcm::data
