#include "apps/report/page.h"

#include <algorithm>

#include "apps/common/html.h"
#include "apps/report/chart.h"
#include "apps/report/charts.h"
#include "apps/report/page_parts.h"
#include "apps/report/samples_view.h"
#include "apps/report/tables.h"
#include "tensor/check.h"

namespace dlcm::apps {
namespace {

constexpr size_t kMostNamed = 4;  // runs, in the title

std::string title_of(const std::vector<RecordedRun>& runs) {
  if (runs.size() > kMostNamed) return concat(runs.size(), " runs");
  std::string names;
  for (const RecordedRun& run : runs) names += (names.empty() ? "" : ", ") + run.name;
  return names;
}

// Nothing from elsewhere is loaded, whatever a run's texts hold.
std::string head(const std::string& title) {
  return concat(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
      "script-src 'unsafe-inline'\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
      html_escaped(title), "</title>\n<style>\n", kReportStyle, "</style>\n</head>\n<body>\n");
}

std::string comparisons(const std::vector<RecordedRun>& runs) {
  std::string html;
  for (const RecordedRun& run : runs) {
    const std::string text = domain_comparison(run);
    if (text.empty()) continue;
    const std::string whose = runs.size() > 1 ? "<b>" + html_escaped(run.name) + ":</b> " : "";
    html += "<p>" + whose + html_escaped(text) + "</p>\n";
  }
  return html;
}

std::string all_charts(const std::vector<RecordedRun>& runs) {
  int64_t last_step = 0;
  for (const RecordedRun& run : runs) last_step = std::max(last_step, run.last_step);
  const std::vector<Chart> charts = charts_of(runs);
  if (charts.empty()) return "<p class=\"note\">No step is recorded yet.</p>\n";
  std::string html =
      "<p class=\"note\">Below each chart: the latest numbers; point at the chart, or use its arrow keys, "
      "for "
      "those of other steps.</p>\n<div class=\"charts\">\n";
  for (size_t i = 0; i < charts.size(); ++i) html += figure_of(charts[i], i, static_cast<double>(last_step));
  return html + "</div>\n";
}

std::string all_evaluations(const std::vector<RecordedRun>& runs) {
  std::string html;
  for (const RecordedRun& run : runs) {
    const std::string table = evaluations_table(run);
    if (table.empty()) continue;
    html += "<details><summary>" + html_escaped(run.name) + "</summary>\n" + table + "</details>\n";
  }
  return html.empty() ? "<p class=\"note\">There are none yet, or no text is held out.</p>\n" : html;
}

}  // namespace

std::string report_page(const std::vector<RecordedRun>& runs) {
  const std::string title = title_of(runs);
  return concat(head(title), "<h1>", html_escaped(title), "</h1>\n", runs_table(runs), comparisons(runs),
                "<h2>Curves</h2>\n", all_charts(runs), "<h2>Held-out text in concepts</h2>\n",
                samples_view(runs), "<h2>Evaluations</h2>\n", all_evaluations(runs), "<script>\n",
                kReportScript, "</script>\n</body>\n</html>\n");
}

}  // namespace dlcm::apps
