#include "apps/report/chart.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include "apps/common/html.h"
#include "apps/report/readings.h"
#include "tensor/check.h"

namespace dlcm::apps {
namespace {

// Units of the picture's own; on a page it is 330 to 600 pixels wide.
constexpr double kWidth = 400, kHeight = 236;
constexpr double kRight = 18, kTop = 10, kBottom = 40;
constexpr double kInnerHeight = kHeight - kTop - kBottom;
constexpr double kLeastLeft = 50, kDigitWidth = 8.4;  // digits of the widest common fonts
constexpr double kNameHeight = 14;                    // of a reference
constexpr size_t kMostPoints = 1000;
constexpr size_t kMostMarks = 30;  // points of a curve that are marked
constexpr double kFirstShare = 0.05, kNoiseShare = 0.005;
constexpr size_t kColours = 8, kDashes = 5;  // as many as the page's style has

std::string number(double value, const char* format = "%.1f") {
  char text[40];
  std::snprintf(text, sizeof(text), format, value);
  return text;
}

std::string style_class(size_t style) {
  return concat("c", style % kColours, " d", style % kDashes);
}

// Where numbers are in the picture.
struct Frame {
  Frame(Axis steps, Axis values) : x(std::move(steps)), y(std::move(values)) {
    std::erase_if(x.ticks, [](double step) { return step != std::round(step); });
    for (const double tick : y.ticks) {
      left = std::max(left, kDigitWidth * static_cast<double>(tick_text(tick).size()) + 8);
    }
    width = kWidth - kRight - left;
  }

  Axis x, y;
  double left = kLeastLeft;  // room for the numbers of y
  double width = 0;
  double across(double step) const { return left + width * x.share(step); }
  double down(double value) const { return kTop + kInnerHeight * (1 - y.share(value)); }
};

bool is_inside(double down) {
  return down >= kTop - 1e-6 && down <= kHeight - kBottom + 1e-6;
}

// Where the line between two points, of which one is inside, leaves the frame.
Point crossing(const Point& a, const Point& b) {
  const Point& outside = is_inside(a.y) ? b : a;
  const double edge = outside.y < kTop ? kTop : kHeight - kBottom;
  return {a.x + (b.x - a.x) * (edge - a.y) / (b.y - a.y), edge};
}

// The curve in pieces: parted at gaps and where it leaves the frame.
std::vector<Curve> pieces_of(const Curve& curve, const Frame& frame) {
  std::vector<Curve> pieces;
  Point before{0, NAN};
  for (const Point& point : curve) {
    const Point place{frame.across(point.x), frame.down(point.y)};
    const bool inside = std::isfinite(place.y) && is_inside(place.y);
    const bool joined = std::isfinite(before.y) && std::isfinite(place.y);
    const bool was_inside = std::isfinite(before.y) && is_inside(before.y);
    if (inside && !was_inside) {
      pieces.emplace_back();
      if (joined) pieces.back().push_back(crossing(before, place));
    }
    if (inside) pieces.back().push_back(place);
    if (!inside && was_inside && joined) pieces.back().push_back(crossing(before, place));
    before = place;
  }
  return pieces;
}

std::string path_data(const std::vector<Curve>& pieces) {
  std::string data;
  for (const Curve& piece : pieces) {
    char command = 'M';
    for (const Point& place : piece) {
      data += command + number(place.x) + ' ' + number(place.y, "%.2f");
      command = 'L';
    }
  }
  return data;
}

std::string joined(const std::vector<std::string>& parts, const char* between) {
  std::string text;
  for (size_t i = 0; i < parts.size(); ++i) text += (i == 0 ? "" : between) + parts[i];
  return text;
}

Readings readings_of(const Chart& chart, double last_step) {
  std::vector<const Curve*> curves;
  for (const ChartSeries& series : chart.series) curves.push_back(&series.curve);
  return readings_of(curves, last_step);
}

std::string run_class(const ChartSeries& series) {
  return series.run < 0 ? "" : concat(" run", series.run);
}

std::string drawn_raw(const ChartSeries& series, const Frame& frame) {
  if (series.raw.empty()) return "";
  return concat("<path class=\"raw ", style_class(series.style), run_class(series), "\" d=\"",
                path_data(pieces_of(thinned(series.raw, kMostPoints), frame)), "\"/>\n");
}

// A line, and marks where there are few points, or one stands alone and has no line.
std::string drawn(const ChartSeries& series, const std::vector<std::string>& readings, const Frame& frame) {
  const std::string run = run_class(series);
  const std::vector<Curve> pieces = pieces_of(thinned(series.curve, kMostPoints), frame);
  std::string svg = concat("<path class=\"line ", style_class(series.style), run, "\" data-name=\"",
                           html_escaped(series.name), "\" data-readings=\"", joined(readings, ";"), "\" d=\"",
                           path_data(pieces), "\"/>\n");
  for (const Curve& piece : pieces) {
    if (piece.size() > 1 && series.curve.size() > kMostMarks) continue;
    for (const Point& place : piece) {
      svg += concat("<circle class=\"", style_class(series.style), run, "\" cx=\"", number(place.x),
                    "\" cy=\"", number(place.y), "\" r=\"2.5\"/>\n");
    }
  }
  return svg;
}

std::string axes(const Frame& frame) {
  const double bottom = kHeight - kBottom;
  std::string svg = "<g class=\"axes\">\n";
  for (const double tick : frame.y.ticks) {
    const double y = frame.down(tick);
    svg += concat("<path class=\"grid\" d=\"M", frame.left, ' ', number(y), 'h', frame.width,
                  "\"/><text class=\"y\" x=\"", frame.left - 6, "\" y=\"", number(y + 4.5), "\">",
                  tick_text(tick), "</text>\n");
  }
  for (const double tick : frame.x.ticks) {
    const double x = frame.across(tick);
    svg += concat("<path d=\"M", number(x), ' ', bottom, "v4\"/><text class=\"x\" x=\"", number(x), "\" y=\"",
                  bottom + 17, "\">", tick_text(tick), "</text>\n");
  }
  return svg + concat("<path d=\"M", frame.left, ' ', kTop, 'V', bottom, 'h', frame.width,
                      "\"/><text class=\"x\" x=\"", frame.left + frame.width / 2, "\" y=\"", kHeight - 6,
                      "\">step</text>\n</g>\n");
}

// Lines, drawn before the curves, and their names, after them.
struct References {
  std::string lines, names;
};
References references_of(const Chart& chart, const Frame& frame) {
  References svg;
  double named[2] = {-kHeight, -kHeight};  // where the last name is, on the right and on the left
  for (size_t i = 0; i < chart.references.size(); ++i) {
    const double y = frame.down(chart.references[i].y);
    if (!is_inside(y)) continue;
    svg.lines +=
        concat("<path class=\"reference\" d=\"M", frame.left, ' ', number(y), 'h', frame.width, "\"/>\n");
    const bool is_left = std::abs(named[0] - y) < kNameHeight;
    if (is_left && std::abs(named[1] - y) < kNameHeight) continue;  // it would cover another
    named[is_left ? 1 : 0] = y;
    svg.names += concat("<text class=\"reference", is_left ? " left" : "", "\" x=\"",
                        is_left ? frame.left + 4 : kWidth - kRight - 4, "\" y=\"", number(y - 4), "\">",
                        html_escaped(chart.references[i].name), "</text>\n");
  }
  return svg;
}

// Of all curves; empty where there is no number at all.
std::optional<Range> y_range(const Chart& chart, double last_step) {
  std::optional<Range> range;
  const auto add = [&](const std::optional<Range>& more) {
    if (!more) return;
    range = range ? Range{std::min(range->low, more->low), std::max(range->high, more->high)} : *more;
  };
  for (const double first : {chart.beginning == Beginning::cut ? kFirstShare * last_step : 0.0, 0.0}) {
    for (const ChartSeries& series : chart.series) {
      add(range_of(series.curve, first, series.raw.empty() ? 0 : kNoiseShare));
      add(range_of(series.raw, first, kNoiseShare));
    }
    if (range) break;  // the first steps are all there is
  }
  if (!range) return std::nullopt;
  for (const ChartReference& reference : chart.references) add(Range{reference.y, reference.y});
  if (chart.from_zero) add(Range{0, 0});
  if (chart.scale == Scale::logarithmic && range->low > 0) return range;
  const double margin = 0.04 * (range->high - range->low);
  return Range{range->low - (range->low == 0 ? 0 : margin), range->high + margin};
}

// What the picture shows, for those who do not see it.
std::string description(const Chart& chart) {
  std::string text;
  for (const ChartSeries& series : chart.series) {
    const std::optional<Range> range = range_of(series.curve, 0, 0);
    text += concat(series.name, ": ");
    if (!range) {
      text += "no numbers. ";
      continue;
    }
    text += concat("from ", number_text(series.curve.front().y), " at step ",
                   step_text(static_cast<int64_t>(series.curve.front().x)), " to ",
                   number_text(series.curve.back().y), " at step ",
                   step_text(static_cast<int64_t>(series.curve.back().x)), ", lowest ",
                   number_text(range->low), ", highest ", number_text(range->high), ". ");
  }
  return text;
}

std::string legend(const Chart& chart) {
  std::string html = "<ul class=\"legend\">\n<li class=\"when\">latest</li>\n";
  for (const ChartSeries& series : chart.series) {
    html += concat("<li", series.run < 0 ? "" : concat(" class=\"run", series.run, "\""), ">",
                   line_key(series.style), "<span>", html_escaped(series.name), "</span> <b>",
                   number_text(series.latest), "</b></li>\n");
  }
  return html + "</ul>\n";
}

std::string svg_head(const Chart& chart, size_t number, const Frame& frame, const Readings& readings) {
  std::vector<std::string> steps;
  for (const double step : readings.steps) steps.push_back(std::to_string(static_cast<int64_t>(step)));
  return concat("<svg class=\"chart\" role=\"img\" aria-labelledby=\"chart", number,
                "\" aria-describedby=\"desc", number, "\" viewBox=\"0 0 ", kWidth, ' ', kHeight,
                "\" data-frame=\"", frame.left, ' ', kTop, ' ', frame.width, ' ', kInnerHeight,
                "\" data-last=\"", frame.x.range.high, "\" data-steps=\"", joined(steps, " "),
                "\">\n<desc id=\"desc", number, "\">", html_escaped(description(chart)), "</desc>\n");
}

// Beyond the axis, and not a number.
std::string omissions(const Chart& chart, const Axis& y) {
  double highest = y.range.high, lowest = y.range.low;
  int64_t gaps = 0;
  for (const ChartSeries& series : chart.series) {
    for (const Curve* curve : {&series.curve, &series.raw}) {
      for (const Point& point : *curve) {
        highest = std::isfinite(point.y) ? std::max(highest, point.y) : highest;
        lowest = std::isfinite(point.y) ? std::min(lowest, point.y) : lowest;
      }
    }
    const Curve& all = series.raw.empty() ? series.curve : series.raw;
    gaps += std::count_if(all.begin(), all.end(), [](const Point& point) { return !std::isfinite(point.y); });
  }
  std::string text;
  if (highest > y.range.high) text += concat(" Cut above: values up to ", number_text(highest), ".");
  if (lowest < y.range.low) text += concat(" Cut below: values down to ", number_text(lowest), ".");
  if (gaps > 0) text += concat(" ", gaps, gaps == 1 ? " value is" : " values are", " not finite.");
  return text;
}

}  // namespace

std::string line_key(size_t style) {
  return concat("<svg class=\"key\" viewBox=\"0 0 30 8\" aria-hidden=\"true\"><path class=\"line ",
                style_class(style), "\" d=\"M1 4H29\"/></svg>");
}

std::string figure_of(const Chart& chart, size_t number, double last_step) {
  const std::optional<Range> range = y_range(chart, last_step);
  const std::string heading =
      concat("<figure>\n<figcaption id=\"chart", number, "\"><b>", html_escaped(chart.title),
             "</b> <span class=\"unit\">", html_escaped(chart.unit), "</span></figcaption>\n");
  if (!range) return heading + "<p class=\"note\">None of its values is finite.</p>\n</figure>\n";
  const Frame frame{axis_over({0, std::max(1.0, last_step)}, Scale::linear, 5),
                    axis_over(*range, chart.scale, 6)};
  const Readings readings = readings_of(chart, last_step);
  std::string html = heading + svg_head(chart, number, frame, readings);
  const References references = references_of(chart, frame);
  html += axes(frame) + references.lines;
  // The noise of one run does not cover the means of another.
  for (const ChartSeries& series : chart.series) html += drawn_raw(series, frame);
  for (size_t i = 0; i < chart.series.size(); ++i) {
    html += drawn(chart.series[i], readings.texts[i], frame);
  }
  html += references.names + "</svg>\n" + legend(chart);
  const std::string note = chart.note + omissions(chart, frame.y);
  if (!note.empty()) html += "<p class=\"note\">" + html_escaped(note) + "</p>\n";
  return html + "</figure>\n";
}

}  // namespace dlcm::apps
