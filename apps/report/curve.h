// Numbers over the steps of a run, as a chart draws them.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

namespace dlcm::apps {

struct Point {
  double x = 0;
  double y = 0;  // NaN: a gap
};
// Ascending in x.
using Curve = std::vector<Point>;

// The mean of the points up to `reach` before and after each. Near the beginning, where curves are steep, of
// as many on both sides, so that it has no bias there, but for the first quarter of `reach`, where noise
// would be all there is. Near the end of the last 2 `reach` + 1 points: the latest mean is one of as many as
// any other. Gaps count nowhere; where all are gaps there is one.
Curve smoothed(const Curve& curve, size_t reach);

// At most `most` points, at least 4: of equal parts the lowest and the highest, and both ends, so that no
// peak is lost. Gaps are left out where their part has a number.
Curve thinned(const Curve& curve, size_t most);

struct Range {
  double low = 0;
  double high = 0;
};
// The numbers from `first_x` on, without the share `beyond` at either end; nothing where there are none.
std::optional<Range> range_of(const Curve& curve, double first_x, double beyond);

}  // namespace dlcm::apps
