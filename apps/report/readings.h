// The numbers that a reader finds in a chart with a pointer or keys: true ones, whatever the picture shows.
#pragma once

#include <string>
#include <vector>

#include "apps/report/curve.h"

namespace dlcm::apps {

struct Readings {
  std::vector<double> steps;  // ascending
  // For each curve a text a step: the number (number_text), an en dash for a gap, nothing where the curve has
  // no point at that step.
  std::vector<std::vector<std::string>> texts;
};

// Of curves over steps 0 to `last_step`: all steps of a curve with few points, of one with many some, evenly
// apart and for all curves the same as far as they have them, with both ends. At each of these steps each
// curve's number there, if it has one.
Readings readings_of(const std::vector<const Curve*>& curves, double last_step);

}  // namespace dlcm::apps
