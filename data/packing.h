// Pieces of documents, and how they are laid into packed batches (section 1 of the specification).
#pragma once

#include <cstdint>
#include <vector>

#include "tensor/batch.h"

namespace dlcm::data {

// Consecutive tokens of one document, at most `context` of them. A longer document is cut into several
// pieces; the last token before a cut still predicts the one after it, so that every stored token but a
// document's first is a target exactly once.
struct Piece {
  std::vector<int32_t> tokens;
  int32_t following = -1;  // the document's next token; -1 at its end
  int64_t sample = 0;      // the piece's number in the run

  int64_t size() const { return static_cast<int64_t>(tokens.size()); }
};

// What identifies the tokens of some pieces and where each begins and ends: a CRC-32 (zlib's).
uint32_t checksum_of(const std::vector<Piece>& pieces);

// The pieces end to end: tokens and targets [T] i32, cu_seqlens [pieces + 1] i32, samples [pieces] i64, on
// the CPU.
PackedBatch pack(const std::vector<const Piece*>& pieces);

// Distributes whole pieces to as few batches of at most micro_tokens tokens as first-fit decreasing finds, in
// which they keep their order. Deterministic; depends on the pieces' sizes alone. Throws InputError where a
// piece is larger than micro_tokens.
std::vector<PackedBatch> micro_batches(const std::vector<Piece>& pieces, int64_t micro_tokens);

}  // namespace dlcm::data
