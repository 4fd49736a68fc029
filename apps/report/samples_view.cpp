#include "apps/report/samples_view.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <set>

#include "apps/common/html.h"
#include "apps/report/axis.h"
#include "apps/report/tables.h"
#include "tensor/check.h"

namespace dlcm::apps {
namespace {

constexpr size_t kMostSteps = 24;

// "p 0.812, 3 tokens"
std::string tooltip(double p, int64_t tokens) {
  char text[60];
  std::snprintf(text, sizeof(text), "p %.3f, %lld token%s", p, static_cast<long long>(tokens),
                tokens == 1 ? "" : "s");
  return text;
}

// A concept without text holds the rest of a character that began in the one before.
std::string marked_text(const RecordedSample& sample) {
  std::string html = "<div class=\"text\">";
  for (size_t i = 0; i < sample.concepts.size(); ++i) {
    if (sample.concepts[i].empty()) continue;
    html += "<i title=\"" + tooltip(sample.p[i], sample.tokens[i]) + "\">" +
            html_escaped(sample.concepts[i]) + "</i>";
  }
  return html + "</div>\n";
}

std::string heading(const RecordedRun& run, size_t runs, const RecordedSample& sample) {
  int64_t tokens = 0;
  for (const int64_t count : sample.tokens) tokens += count;
  const double mean =
      static_cast<double>(tokens) / static_cast<double>(std::max<size_t>(1, sample.concepts.size()));
  char text[40];
  std::snprintf(text, sizeof(text), "%.2f", mean);
  std::string name = runs > 1 ? run.name : "";
  if (!sample.domain.empty()) name += (name.empty() ? "" : ", ") + sample.domain;
  return concat("<h4>", html_escaped(name.empty() ? "held-out text" : name), " <small>",
                sample.concepts.size(), " concepts, ", text, " tokens in each</small></h4>\n");
}

// Those of one domain side by side.
std::string step_view(const std::vector<RecordedRun>& runs, int64_t step, bool is_last) {
  std::map<std::string, std::string> by_domain;
  for (size_t i = 0; i < runs.size(); ++i) {
    for (const RecordedSample& sample : runs[i].samples) {
      if (sample.step != step) continue;
      by_domain[sample.domain] +=
          concat("<section", runs.size() > 1 ? concat(" class=\"run", i, "\"") : "", ">\n",
                 heading(runs[i], runs.size(), sample), marked_text(sample), "</section>\n");
    }
  }
  std::string html = concat("<details class=\"step\"", is_last ? " open" : "", "><summary>Step ",
                            step_text(step), "</summary>\n<div>\n");
  for (const auto& [domain, sections] : by_domain) html += sections;
  return html + "</div>\n</details>\n";
}

}  // namespace

std::string samples_view(const std::vector<RecordedRun>& runs) {
  std::set<int64_t> all_steps;
  for (const RecordedRun& run : runs) {
    for (const RecordedSample& sample : run.samples) all_steps.insert(sample.step);
  }
  if (all_steps.empty()) {
    return "<p class=\"note\">There are none: train writes them (samples.jsonl) at each evaluation of a DLCM "
           "whose "
           "shards have held-out text and, beside them, the tokenizer.json.</p>\n";
  }
  std::string html =
      "<p class=\"note\">The beginning of a held-out document of each domain. A concept begins where p, the "
      "probability of a boundary, reaches the model's threshold; point at one, or press on it, to see "
      "p.</p>\n"
      "<div class=\"samples\">\n";
  const std::vector<int64_t> steps(all_steps.begin(), all_steps.end());
  for (const size_t i : evenly_chosen(steps.size(), kMostSteps))
    html += step_view(runs, steps[i], i + 1 == steps.size());
  return html + "</div>\n";
}

}  // namespace dlcm::apps
