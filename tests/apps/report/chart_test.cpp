#include "apps/report/chart.h"

#include <cmath>
#include <sstream>

#include <doctest/doctest.h>

#include "tests/data/temporary_folder.h"

namespace dlcm::apps {
namespace {

using test::contains;

Chart chart_of(Curve curve) {
  Chart chart;
  chart.title = "Title";
  chart.series.push_back({"name", 0, std::move(curve), {}, -1, 1});
  return chart;
}

struct Place {
  double x, y;
};

// The points of each piece of the chart's first path of that class. (std::regex calls itself for every
// character of a long path.)
std::vector<std::vector<Place>> pieces(const std::string& figure, const std::string& kind) {
  const size_t path = figure.find("<path class=\"" + kind + " ", figure.find("class=\"chart\""));
  REQUIRE(path != std::string::npos);
  const size_t begin = figure.find(" d=\"", path) + 4;
  REQUIRE(begin < figure.find('>', path));
  std::istringstream data(figure.substr(begin, figure.find('"', begin) - begin));
  std::vector<std::vector<Place>> found;
  char command = 0;
  Place place{};
  while (data >> command >> place.x >> place.y) {
    REQUIRE((command == 'M' || command == 'L'));
    if (command == 'M') found.emplace_back();
    REQUIRE(!found.empty());
    found.back().push_back(place);
  }
  CHECK(data.eof());  // nothing else, such as "nan"
  return found;
}

int64_t count(const std::string& text, const std::string& part) {
  int64_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

}  // namespace

TEST_CASE("chart: a curve from left to right, higher numbers higher up, inside the picture") {
  const auto found = pieces(figure_of(chart_of({{1, 2}, {50, 8}, {100, 4}}), 0, 100), "line");
  REQUIRE(found.size() == 1);
  REQUIRE(found[0].size() == 3);
  CHECK(found[0][0].x < found[0][1].x);
  CHECK(found[0][1].x < found[0][2].x);
  CHECK(found[0][1].y < found[0][2].y);
  CHECK(found[0][2].y < found[0][0].y);
  for (const Place& place : found[0]) {
    CHECK(place.x >= 0);
    CHECK(place.x <= 400);
    CHECK(place.y >= 0);
    CHECK(place.y <= 236);
  }
}

TEST_CASE("chart: a gap parts the curve, a lone point is marked, infinity is none") {
  Curve curve;
  for (int i = 1; i <= 100; ++i)
    curve.push_back({static_cast<double>(i), i == 50 || i == 52 ? NAN : 1.0 + i});
  curve[79].y = INFINITY;
  const std::string figure = figure_of(chart_of(curve), 0, 100);
  const auto found = pieces(figure, "line");
  REQUIRE(found.size() == 4);
  CHECK(found[1].size() == 1);
  CHECK(count(figure, "<circle") == 1);
  CHECK(contains(figure, "3 values are not finite."));
  const std::string one = figure_of(chart_of({{1, 2}}), 0, 1);
  CHECK(count(one, "<circle") == 1);
  CHECK(contains(one, ">0</text>"));
  CHECK_FALSE(contains(one, ">0.5</text>"));  // there is no half step
  CHECK(contains(figure_of(chart_of({{1, NAN}, {2, NAN}}), 0, 2), "None of its values is finite."));
}

TEST_CASE("chart: a beginning far above is cut where the curve leaves the picture, and that is said") {
  Curve curve;
  for (int i = 1; i <= 1000; ++i) curve.push_back({static_cast<double>(i), 2 + 500.0 / (i * i)});
  Chart chart = chart_of(curve);
  const double top = 10;
  chart.beginning = Beginning::cut;
  const std::string figure = figure_of(chart, 0, 1000);
  CHECK(contains(figure, "Cut above: values up to 502."));
  const auto found = pieces(figure, "line");
  REQUIRE(found.size() == 1);
  CHECK(found[0][0].y == doctest::Approx(top));
  for (const Place& place : found[0]) CHECK(place.y >= top);
  chart.beginning = Beginning::shown;
  CHECK_FALSE(contains(figure_of(chart, 0, 1000), "Cut above"));
}

TEST_CASE("chart: what a pointer reads off are the curves' numbers, also where the picture is cut") {
  Chart chart = chart_of({{1, 502}, {2, NAN}, {400, 2.5}, {1000, 2}});
  chart.series[0].name = "long";
  chart.series.push_back({"short", 1, {{400, 2.25}}, {}, -1, 2.25});
  chart.beginning = Beginning::cut;
  const std::string figure = figure_of(chart, 0, 1000);
  CHECK(contains(figure, "Cut above"));
  CHECK(contains(figure, "data-steps=\"1 2 400 1000\""));
  CHECK(contains(figure, "data-name=\"long\" data-readings=\"502;\u2013;2.5;2\""));
  CHECK(contains(figure, "data-name=\"short\" data-readings=\";;2.25;\""));
  CHECK(contains(figure, "<li class=\"when\">latest</li>"));
}

TEST_CASE("chart: at most about a thousand points, however long the run") {
  Curve curve;
  for (int i = 1; i <= 100'000; ++i) curve.push_back({static_cast<double>(i), std::sin(i)});
  const std::string figure = figure_of(chart_of(curve), 0, 100'000);
  CHECK(figure.size() < 22'000);
  CHECK(pieces(figure, "line")[0].size() > 900);
}

TEST_CASE("chart: the noise of every curve lies below all means") {
  Chart chart = chart_of({{1, 2}, {2, 3}});
  chart.series[0].raw = chart.series[0].curve;
  chart.series.push_back(chart.series[0]);
  const std::string figure = figure_of(chart, 0, 2);
  const std::string drawing = figure.substr(figure.find("class=\"chart\""));
  CHECK(count(drawing, "class=\"raw ") == 2);
  CHECK(drawing.rfind("class=\"raw ") < drawing.find("class=\"line "));
}

TEST_CASE("chart: names are text, references have theirs, a logarithmic axis has no place for 0") {
  Chart chart = chart_of({{1, 100}, {2, 0.01}, {3, 0}, {4, 1}});
  chart.title = "<b>&";
  chart.series[0].name = "\"><script>";
  chart.scale = Scale::logarithmic;
  chart.references = {{"R = 4", 4}, {"R = 4.1", 4.1}};
  std::string figure = figure_of(chart, 0, 4);
  CHECK(contains(figure, "&lt;b&gt;&amp;"));
  CHECK_FALSE(contains(figure, "<script"));
  CHECK(contains(figure, ">R = 4</text>"));
  CHECK(contains(figure, "text class=\"reference left\""));  // beside the other, not over it
  const auto linear = pieces(figure, "line")[0];
  REQUIRE(linear.size() == 4);
  CHECK(linear[3].y == doctest::Approx(linear[2].y).epsilon(0.02));
  chart.series[0].curve[2].y = NAN;
  figure = figure_of(chart, 0, 4);
  const auto logarithmic = pieces(figure, "line");
  REQUIRE(logarithmic.size() == 2);
  // 1 is halfway between 0.01 and 100.
  CHECK(logarithmic[1][0].y == doctest::Approx((logarithmic[0][0].y + logarithmic[0][1].y) / 2));
}

}  // namespace dlcm::apps
