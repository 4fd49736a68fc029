#include "apps/report/readings.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "apps/report/axis.h"

namespace dlcm::apps {
namespace {

constexpr size_t kMostSteps = 500;  // of a curve; charts are about as many pixels wide

// The first point of each stride, and the last point.
void add_steps(const Curve& curve, double last_step, std::set<double>& steps) {
  const double stride = std::max(1.0, std::ceil(last_step / static_cast<double>(kMostSteps)));
  double before = -1;
  for (const Point& point : curve) {
    const double part = std::floor(point.x / stride);
    if (curve.size() <= kMostSteps || part != before) steps.insert(point.x);
    before = part;
  }
  if (!curve.empty()) steps.insert(curve.back().x);
}

}  // namespace

Readings readings_of(const std::vector<const Curve*>& curves, double last_step) {
  std::set<double> steps;
  for (const Curve* curve : curves) add_steps(*curve, last_step, steps);
  Readings readings{{steps.begin(), steps.end()}, {}};
  for (const Curve* curve : curves) {
    std::vector<std::string>& texts = readings.texts.emplace_back();
    auto point = curve->begin();
    for (const double step : readings.steps) {
      while (point != curve->end() && point->x < step) ++point;
      const bool is_there = point != curve->end() && point->x == step;
      texts.push_back(is_there ? number_text(point->y) : "");
    }
  }
  return readings;
}

}  // namespace dlcm::apps
