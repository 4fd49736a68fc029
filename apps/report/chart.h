// One chart of the report: curves over the steps, as a figure of HTML with SVG in it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apps/report/axis.h"
#include "apps/report/curve.h"

namespace dlcm::apps {

struct ChartSeries {
  std::string name;
  size_t style = 0;  // colour and dashes; those of a run are the same in every chart
  Curve curve;
  Curve raw;             // what the curve is the mean of, drawn faintly; may be empty
  int run = -1;          // whose it is, for hiding it; -1: of the only one
  double latest = 0;     // what the legend shows; NaN: nothing
  bool is_mean = false;  // whether the curve is one of means, with or without `raw`
};

struct ChartReference {
  std::string name;  // "R = 4"
  double y = 0;
};

// Whether the axis reaches over the first twentieth of the steps too, in which losses fall from far above.
enum class Beginning { shown, cut };

struct Chart {
  std::string title;
  std::string unit;  // of y
  std::string note;  // below; may be empty
  Scale scale = Scale::linear;
  bool from_zero = false;  // the axis begins at 0
  Beginning beginning = Beginning::shown;
  std::vector<ChartSeries> series;
  std::vector<ChartReference> references;
};

// The line that stands for a style in a legend.
std::string line_key(size_t style);

// The figure with the chart number `number` of the page, over steps 0 to `last_step`. At most about 1,000
// points of each curve. The last percent of the noise does not stretch the axis either: what lies beyond it
// is cut, and the figure says so.
std::string figure_of(const Chart& chart, size_t number, double last_step);

}  // namespace dlcm::apps
