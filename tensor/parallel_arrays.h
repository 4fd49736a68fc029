// One parallel loop over the elements of many arrays, large and small, as if they lay end to end.
#pragma once

#include <algorithm>
#include <vector>

#include "tensor/parallel.h"

namespace dlcm {

// Calls body(range, array, begin, end) for the parts of arrays that make up each range of `grain` elements.
// `sizes` are the arrays' numbers of elements. The parts of one range are visited in order by one thread, so
// that a partial result for each range is as independent of the number of threads as with parallel_for.
template <class Body>
void parallel_for_arrays(const std::vector<int64_t>& sizes, int64_t grain, const Body& body) {
  std::vector<int64_t> ends;
  int64_t total = 0;
  for (const int64_t size : sizes) ends.push_back(total += size);
  parallel_for(total, grain, [&](int64_t begin, int64_t end) {
    const int64_t range = begin / grain;
    auto array = static_cast<size_t>(std::upper_bound(ends.begin(), ends.end(), begin) - ends.begin());
    for (; begin < end; ++array) {
      const int64_t first = ends[array] - sizes[array];
      const int64_t stop = std::min(end, ends[array]);
      if (begin < stop) body(range, array, begin - first, stop - first);
      begin = stop;
    }
  });
}

}  // namespace dlcm
