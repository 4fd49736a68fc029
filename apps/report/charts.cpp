#include "apps/report/charts.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "tensor/check.h"

namespace dlcm::apps {
namespace {

constexpr size_t kMeans = 50;            // as many means side by side make a smooth curve
constexpr size_t kFewestSmoothed = 100;  // points
constexpr size_t kMostRuns = 4;          // with the raw values behind their means

enum class Noise { none, smoothed };
enum class Target { none, tokens_per_concept, boundary_rate };

struct Quantity {
  std::string field;
  std::string name;
  Noise noise = Noise::none;
};

// Quantities that belong together.
struct Panel {
  std::string title;
  std::string unit;
  std::vector<Quantity> quantities;
  Scale scale = Scale::linear;
  bool from_zero = false;
  Beginning beginning = Beginning::shown;
  double factor = 1;  // from the field's unit to the panel's
  Target target = Target::none;
};

// The field of all held-out text, and that of each domain that some run has.
std::vector<Quantity> by_domain(const std::vector<RecordedRun>& runs, const std::string& field) {
  std::set<std::string> domains;
  for (const RecordedRun& run : runs) {
    for (const std::string& domain : run.domains()) domains.insert(domain);
  }
  std::vector<Quantity> quantities = {{field, "all"}};
  for (const std::string& domain : domains) quantities.push_back({of_domain(field, domain), domain});
  return quantities;
}

std::vector<Panel> panels_of(const std::vector<RecordedRun>& runs) {
  constexpr Noise kNoisy = Noise::smoothed;
  const Scale logarithmic = Scale::logarithmic;
  return {
      {.title = "Loss",
       .unit = "nats per token",
       .quantities = {{"loss", "training", kNoisy}, {"heldout_loss", "held-out"}},
       .beginning = Beginning::cut},
      {.title = "Held-out text",
       .unit = "bits per byte",
       .quantities = by_domain(runs, "heldout_bits_per_byte"),
       .beginning = Beginning::cut},
      {.title = "Held-out text, thresholded",
       .unit = "tokens per concept",
       .quantities = by_domain(runs, "heldout_tokens_per_concept"),
       .scale = logarithmic,
       .beginning = Beginning::cut,
       .target = Target::tokens_per_concept},
      {.title = "Training text, as sampled",
       .unit = "tokens per concept",
       .quantities = {{"tokens_per_concept", "sampled", kNoisy}},
       .scale = logarithmic,
       .beginning = Beginning::cut,
       .target = Target::tokens_per_concept},
      {.title = "Boundaries",
       .unit = "per token",
       .quantities = {{"boundary_rate", "F, sampled rate", kNoisy},
                      {"boundary_mean", "G, mean p", kNoisy},
                      {"heldout_boundary_rate", "held-out, thresholded"}},
       .target = Target::boundary_rate},
      {.title = "Auxiliary loss",
       .unit = "without its weight",
       .quantities = {{"aux_loss", "auxiliary loss", kNoisy}},
       .beginning = Beginning::cut},
      {.title = "Gradient norm",
       .unit = "before clipping",
       .quantities = {{"gradient_norm", "gradient norm", kNoisy}},
       .scale = logarithmic},
      {.title = "Learning rates",
       .unit = "\u00d7 10\u207b\u00b3",
       .quantities = {{"rate_token", "token"},
                      {"rate_concept", "concept"},
                      {"rate_other", "other"},
                      {"rate_boundary", "boundary"}},
       .from_zero = true,
       .factor = 1e3},
      {.title = "Sharpening temperature",
       .unit = "alpha",
       .quantities = {{"alpha", "alpha"}},
       .scale = logarithmic},
      {.title = "Speed",
       .unit = "tokens per second",
       .quantities = {{"tokens_per_second", "tokens/s", kNoisy}},
       .from_zero = true},
      {.title = "Matrix products",
       .unit = "% of the machine's limit",
       .quantities = {{"matrix_share", "share", kNoisy}},
       .from_zero = true,
       .factor = 100},
      {.title = "Memory of tensors",
       .unit = "MB at the step's peak",
       .quantities = {{"peak_bytes", "peak"}},
       .from_zero = true,
       .factor = 1e-6},
      {.title = "Waiting for data",
       .unit = "% of the step",
       .quantities = {{"loader_wait", "wait", kNoisy}},
       .from_zero = true,
       .beginning = Beginning::cut,
       .factor = 100},
  };
}

ChartSeries series_of(const RecordedRun& run, const Panel& panel, const Quantity& quantity, bool with_raw) {
  ChartSeries series;
  series.curve = run.metric(quantity.field);
  for (Point& point : series.curve) point.y *= panel.factor;
  series.latest = run.last(quantity.field) * panel.factor;
  if (quantity.noise == Noise::none || series.curve.size() < kFewestSmoothed) return series;
  Curve means = smoothed(series.curve, series.curve.size() / kMeans / 2);
  if (with_raw) series.raw = std::move(series.curve);
  series.curve = std::move(means);
  series.latest = series.curve.back().y;
  series.is_mean = true;
  return series;
}

// R, or the rate of boundaries that it stands for: a line for each value that the runs have.
std::vector<ChartReference> references_of(const std::vector<RecordedRun>& runs, Target target) {
  std::set<double> values;
  for (const RecordedRun& run : runs) {
    if (target == Target::none || !run.has_concepts || !run.config) continue;
    values.insert(run.config->model.boundary.tokens_per_concept);
  }
  std::vector<ChartReference> references;
  for (const double value : values) {
    const bool is_rate = target == Target::boundary_rate;
    references.push_back(
        {concat(is_rate ? "1/R, R = " : "R = ", tick_text(value)), is_rate ? 1 / value : value});
  }
  return references;
}

Chart empty_chart(const Panel& panel, const std::vector<RecordedRun>& runs) {
  Chart chart;
  chart.title = panel.title;
  chart.unit = panel.unit;
  chart.scale = panel.scale;
  chart.from_zero = panel.from_zero;
  chart.beginning = panel.beginning;
  chart.references = references_of(runs, panel.target);
  return chart;
}

void finish(Chart chart, std::vector<Chart>& charts) {
  if (chart.series.empty()) return;
  const auto is_mean = [](const ChartSeries& series) { return series.is_mean; };
  const auto has_raw = [](const ChartSeries& series) { return !series.raw.empty(); };
  if (std::any_of(chart.series.begin(), chart.series.end(), is_mean)) {
    const bool any_raw = std::any_of(chart.series.begin(), chart.series.end(), has_raw);
    chart.note = concat("Mean of a ", kMeans, "th of the run's steps, of fewer at its beginning",
                        any_raw ? "; each step faintly." : ".");
  }
  charts.push_back(std::move(chart));
}

void add_charts_of_one(const std::vector<RecordedRun>& runs, const Panel& panel, std::vector<Chart>& charts) {
  Chart chart = empty_chart(panel, runs);
  for (size_t i = 0; i < panel.quantities.size(); ++i) {
    ChartSeries series = series_of(runs[0], panel, panel.quantities[i], true);
    if (series.curve.empty()) continue;
    series.name = panel.quantities[i].name;
    series.style = i;
    chart.series.push_back(std::move(series));
  }
  finish(std::move(chart), charts);
}

void add_charts_of_many(const std::vector<RecordedRun>& runs, const Panel& panel,
                        std::vector<Chart>& charts) {
  for (const Quantity& quantity : panel.quantities) {
    Chart chart = empty_chart(panel, runs);
    if (panel.quantities.size() > 1) chart.title += ": " + quantity.name;
    for (size_t i = 0; i < runs.size(); ++i) {
      ChartSeries series = series_of(runs[i], panel, quantity, runs.size() <= kMostRuns);
      if (series.curve.empty()) continue;
      series.name = runs[i].name;
      series.style = i;
      series.run = static_cast<int>(i);
      chart.series.push_back(std::move(series));
    }
    finish(std::move(chart), charts);
  }
}

}  // namespace

std::vector<Chart> charts_of(const std::vector<RecordedRun>& runs) {
  std::vector<Chart> charts;
  for (const Panel& panel : panels_of(runs)) {
    if (runs.size() == 1) {
      add_charts_of_one(runs, panel, charts);
    } else {
      add_charts_of_many(runs, panel, charts);
    }
  }
  return charts;
}

}  // namespace dlcm::apps
