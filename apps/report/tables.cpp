#include "apps/report/tables.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <set>

#include "apps/common/html.h"
#include "apps/report/axis.h"
#include "apps/report/chart.h"
#include "tensor/check.h"

namespace dlcm::apps {
namespace {

constexpr size_t kMostEvaluations = 40;  // rows
constexpr size_t kCompared = 5;          // evaluations that are asked for agreement
// Ratios of the most to the fewest tokens per concept: below the first domains are called alike, from the
// second on different.
constexpr double kAlike = 1.05, kDifferent = 1.15;
constexpr char kConceptField[] = "heldout_tokens_per_concept";

std::string number(double value, const char* format) {
  char text[40];
  std::snprintf(text, sizeof(text), format, value);
  return text;
}

double median(const Curve& curve) {
  std::vector<double> values;
  for (const Point& point : curve) {
    if (std::isfinite(point.y)) values.push_back(point.y);
  }
  if (values.empty()) return NAN;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

std::string kind_text(const RecordedRun& run) {
  if (run.has_concepts) return "DLCM";
  return run.config ? "transformer" : "\u2013";  // a run that has not begun has no concepts either
}

std::string target_text(const RecordedRun& run) {
  if (!run.config || !run.has_concepts) return "\u2013";
  return number_text(run.config->model.boundary.tokens_per_concept);
}

std::string steps_text(const RecordedRun& run) {
  if (!run.config) return step_text(run.last_step);
  return step_text(run.last_step) + " of " + step_text(run.config->schedule.steps);
}

std::string memory_text(const RecordedRun& run) {
  const std::optional<Range> bytes = range_of(run.metric("peak_bytes"), 0, 0);
  return bytes ? number_text(bytes->high * 1e-6) + " MB" : "\u2013";
}

using Cell = std::function<std::string(const RecordedRun&)>;

std::string row(const std::string& name, const std::vector<RecordedRun>& runs, const Cell& cell) {
  std::string html = "<tr><th scope=\"row\">" + html_escaped(name) + "</th>";
  for (const RecordedRun& run : runs) html += "<td>" + html_escaped(cell(run)) + "</td>";
  return html + "</tr>\n";
}

Cell last_of(const std::string& field) {
  return [field](const RecordedRun& run) { return number_text(run.last(field)); };
}

std::string rows_by_domain(const std::vector<RecordedRun>& runs, const std::string& name,
                           const std::string& field) {
  std::set<std::string> domains;
  for (const RecordedRun& run : runs) {
    for (const std::string& domain : run.domains()) {
      if (!run.metric(of_domain(field, domain)).empty()) domains.insert(domain);
    }
  }
  std::string html = row(name, runs, last_of(field));
  for (const std::string& domain : domains) {
    html += row(concat(name, ", ", domain), runs, last_of(of_domain(field, domain)));
  }
  return html;
}

std::string column_heads(const std::vector<RecordedRun>& runs) {
  std::string html = "<thead><tr><td></td>";
  for (size_t i = 0; i < runs.size(); ++i) {
    const std::string name = html_escaped(runs[i].name);
    if (runs.size() == 1) {
      html += "<th scope=\"col\">" + name + "</th>";
      continue;
    }
    html += concat("<th scope=\"col\"><label><input type=\"checkbox\" checked hidden data-run=\"", i, "\">",
                   line_key(i), ' ', name, "</label></th>");
  }
  return html + "</tr></thead>\n";
}

// The domains with the fewest and the most tokens per concept at the evaluation `back` before the last.
struct Extremes {
  std::string fewest, most;
  double low = INFINITY, high = 0;
};
Extremes extremes_of(const RecordedRun& run, size_t back) {
  Extremes extremes;
  for (const std::string& domain : run.domains()) {
    const Curve& curve = run.metric(of_domain(kConceptField, domain));
    if (back >= curve.size()) continue;
    const double value = curve[curve.size() - 1 - back].y;
    if (!std::isfinite(value) || value <= 0) continue;
    if (value < extremes.low) extremes.fewest = domain;
    if (value > extremes.high) extremes.most = domain;
    extremes.low = std::min(extremes.low, value);
    extremes.high = std::max(extremes.high, value);
  }
  return extremes;
}

}  // namespace

std::vector<size_t> evenly_chosen(size_t count, size_t most) {
  std::vector<size_t> chosen;
  const size_t all = std::min(count, most);
  for (size_t i = 0; i < all; ++i) {
    chosen.push_back(all == 1 ? count - 1 : (i * (count - 1) + (all - 1) / 2) / (all - 1));
  }
  return chosen;
}

std::string runs_table(const std::vector<RecordedRun>& runs) {
  std::string html = "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Runs\"><table>\n" +
                     column_heads(runs) + "<tbody>\n";
  html += row("model", runs, kind_text);
  html += row("parameters", runs, [](const RecordedRun& run) {
    return run.parameters > 0 ? number_text(static_cast<double>(run.parameters)) : "\u2013";
  });
  html += row("steps", runs, steps_text);
  html += row("tokens seen", runs, last_of("tokens_seen"));
  html += row("training loss, last step", runs, last_of("loss"));
  html += row("held-out loss, nats per token", runs, last_of("heldout_loss"));
  html += rows_by_domain(runs, "bits per byte", "heldout_bits_per_byte");
  const bool any_concepts =
      std::any_of(runs.begin(), runs.end(), [](const RecordedRun& run) { return run.has_concepts; });
  if (any_concepts) {
    html += row("R, target of tokens per concept", runs, target_text);
    html += rows_by_domain(runs, "tokens per concept", kConceptField);
  }
  html += row("tokens per second, median", runs,
              [](const RecordedRun& run) { return number_text(median(run.metric("tokens_per_second"))); });
  html += row("memory of tensors, most", runs, memory_text);
  html += "<tr class=\"wrap\"><th scope=\"row\">folder</th>";
  for (const RecordedRun& run : runs) html += "<td>" + html_escaped(run.folder) + "</td>";
  html += "</tr>\n";
  return html + "</tbody></table></div>\n";
}

std::string domain_comparison(const RecordedRun& run) {
  const Extremes last = extremes_of(run, 0);
  if (last.fewest.empty() || last.fewest == last.most) return "";
  const double ratio = last.high / last.low;
  const char* verdict = ratio >= kDifferent ? "differ"
                        : ratio >= kAlike   ? "differ a little"
                                            : "hardly differ";
  size_t compared = 0, agreeing = 0;
  for (; compared < kCompared; ++compared) {
    const Extremes earlier = extremes_of(run, compared);
    if (earlier.fewest.empty()) break;
    agreeing += earlier.fewest == last.fewest && earlier.most == last.most ? 1 : 0;
  }
  std::string text = concat("Tokens per concept ", verdict, " between domains: ", number(last.high, "%.2f"),
                            " in ", last.most, ", ", number(last.low, "%.2f"), " in ", last.fewest,
                            ", a ratio of ", number(ratio, "%.2f"), ".");
  if (compared > 1) {
    text += concat(" Of the last ", compared, " evaluations ",
                   agreeing == compared ? "all" : std::to_string(agreeing), agreeing == 1 ? " has" : " have",
                   " these two at the ends.");
  }
  return text;
}

std::string evaluations_table(const RecordedRun& run) {
  const Curve& losses = run.metric("heldout_loss");
  if (losses.empty()) return "";
  std::vector<std::string> fields;
  for (const auto& [field, curve] : run.metrics) {
    if (field.starts_with("heldout_")) fields.push_back(field);
  }
  std::string html =
      concat("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Evaluations of ",
             html_escaped(run.name), "\"><table>\n<thead><tr><th scope=\"col\">step</th>");
  for (const std::string& field : fields) {
    html += "<th scope=\"col\">" + html_escaped(field.substr(field.find('_') + 1)) + "</th>";
  }
  html += "</tr></thead>\n<tbody>\n";
  for (const size_t i : evenly_chosen(losses.size(), kMostEvaluations)) {
    const double step = losses[i].x;
    html += "<tr><th scope=\"row\">" + step_text(static_cast<int64_t>(step)) + "</th>";
    for (const std::string& field : fields) {
      const Curve& curve = run.metric(field);
      const auto point =
          std::find_if(curve.begin(), curve.end(), [&](const Point& p) { return p.x == step; });
      html += "<td>" + number_text(point == curve.end() ? NAN : point->y) + "</td>";
    }
    html += "</tr>\n";
  }
  html += "</tbody></table></div>\n";
  if (losses.size() <= kMostEvaluations) return html;
  return html + concat("<p class=\"note\">", kMostEvaluations, " of ",
                       step_text(static_cast<int64_t>(losses.size())),
                       " evaluations, evenly apart; metrics.jsonl has them all.</p>\n");
}

}  // namespace dlcm::apps
