// A permutation of [0, n) that is a pure function of (seed, epoch, n): the order in which sections
// (sections.h) are visited, with nothing to keep in memory. A balanced Feistel network over the next even
// power of two, walked until it falls in range (Black & Rogaway, "Ciphers with arbitrary finite domains",
// CT-RSA 2002).
#pragma once

#include <cstdint>

namespace dlcm::data {

// The element at `position`, 0 <= position < n.
uint64_t permuted(uint64_t seed, uint64_t epoch, uint64_t position, uint64_t n);

}  // namespace dlcm::data
