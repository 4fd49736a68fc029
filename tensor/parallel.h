// Threads: one static, deterministic way to share a loop.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>

namespace dlcm {

// Threads used by parallel_for; at least 1. Default: the cores this process may use.
int thread_count();
void set_thread_count(int threads);

namespace detail {
void run_blocks(int64_t blocks, const std::function<void(int64_t block)>& body);
}

// Calls body(begin, end) for the consecutive ranges of `grain` indices that make up [0, n), the last one
// shorter. The ranges depend on n and grain alone, never on the number of threads, so that a reduction which
// keeps one partial result per range and adds them in order gives the same bits on any machine. Each thread
// takes a contiguous share of the ranges. An exception in the body is rethrown in the caller. Nested calls
// run in the calling thread.
template <class Body>
void parallel_for(int64_t n, int64_t grain, const Body& body) {
  if (n <= 0) return;
  const int64_t step = std::max<int64_t>(grain, 1);
  const int64_t blocks = (n + step - 1) / step;
  if (blocks == 1) {
    body(int64_t{0}, n);
    return;
  }
  detail::run_blocks(blocks, [&](int64_t block) { body(block * step, std::min(n, (block + 1) * step)); });
}

// Rows per range such that one range is worth a thread: about `work` elements.
inline int64_t grain_for(int64_t elements_per_row, int64_t work = 16384) {
  return std::max<int64_t>(1, work / std::max<int64_t>(1, elements_per_row));
}

// The same indices, first and last ones taken in turn: where work grows with the index, as rows of a document
// that see ever more keys, every thread then has the same share.
inline int64_t folded(int64_t index, int64_t count) {
  return index % 2 == 0 ? index / 2 : count - 1 - index / 2;
}

}  // namespace dlcm
