// Axes of a chart: what they reach, where their ticks are and how numbers are written.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/report/curve.h"

namespace dlcm::apps {

enum class Scale { linear, logarithmic };

struct Axis {
  Range range;  // low < high; both above 0 where it is logarithmic
  Scale scale = Scale::linear;
  std::vector<double> ticks;  // within the range, ascending

  // 0 at the low end, 1 at the high end; beyond them outside [0, 1]. Not finite where the value has no place:
  // NaN, or at most 0 on a logarithmic axis.
  double share(double value) const;
};

// An axis over the range, widened where it is a single number; with at most `most_ticks` ticks, at least 2.
// A range that reaches down to 0 is linear whatever is asked for.
Axis axis_over(const Range& range, Scale scale, int most_ticks);

// Of a tick: "0.25", "1,500", "20k", "1.5M", "3e-5", "2e15".
std::string tick_text(double value);
// "100,000".
std::string step_text(int64_t step);
// Of a number in a table or a legend, about four digits: "2.697", "12,870", "3.89 M", "4.5e-5", "4.64e19"; an
// en dash where it is not finite.
std::string number_text(double value);

}  // namespace dlcm::apps
