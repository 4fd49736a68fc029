#include "apps/report/curve.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace dlcm::apps {

Curve smoothed(const Curve& curve, size_t reach) {
  // Sums up to each point, so that a mean takes two of them.
  std::vector<double> sums = {0}, counts = {0};
  for (const Point& point : curve) {
    const bool is_number = std::isfinite(point.y);
    sums.push_back(sums.back() + (is_number ? point.y : 0));
    counts.push_back(counts.back() + (is_number ? 1 : 0));
  }
  Curve result;
  for (size_t i = 0; i < curve.size(); ++i) {
    const size_t near = std::max(std::min(reach, i), reach / 4);
    const size_t end = std::min(curve.size(), i + near + 1);
    const size_t begin = std::min(i - std::min(i, near), end - std::min(end, 2 * near + 1));
    const double count = counts[end] - counts[begin];
    const double sum = sums[end] - sums[begin];
    result.push_back({curve[i].x, count > 0 ? sum / count : std::numeric_limits<double>::quiet_NaN()});
  }
  return result;
}

Curve thinned(const Curve& curve, size_t most) {
  if (curve.size() <= most) return curve;
  const size_t parts = most / 2 - 1;
  Curve result = {curve.front()};
  for (size_t part = 0; part < parts; ++part) {
    // Between the ends.
    const size_t begin = 1 + (curve.size() - 2) * part / parts;
    const size_t end = 1 + (curve.size() - 2) * (part + 1) / parts;
    size_t lowest = begin, highest = begin;
    for (size_t i = begin; i < end; ++i) {
      if (!(curve[i].y >= curve[lowest].y)) lowest = std::isfinite(curve[i].y) ? i : lowest;
      if (!(curve[i].y <= curve[highest].y)) highest = std::isfinite(curve[i].y) ? i : highest;
    }
    result.push_back(curve[std::min(lowest, highest)]);
    if (lowest != highest) result.push_back(curve[std::max(lowest, highest)]);
  }
  result.push_back(curve.back());
  return result;
}

std::optional<Range> range_of(const Curve& curve, double first_x, double beyond) {
  std::vector<double> values;
  for (const Point& point : curve) {
    if (point.x >= first_x && std::isfinite(point.y)) values.push_back(point.y);
  }
  if (values.empty()) return std::nullopt;
  const auto cut = static_cast<std::ptrdiff_t>(beyond * static_cast<double>(values.size()));
  std::nth_element(values.begin(), values.begin() + cut, values.end());
  const double low = values[static_cast<size_t>(cut)];
  std::nth_element(values.begin(), values.end() - 1 - cut, values.end());
  return Range{low, *(values.end() - 1 - cut)};
}

}  // namespace dlcm::apps
