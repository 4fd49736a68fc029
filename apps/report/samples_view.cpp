#include "apps/report/samples_view.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "apps/common/html.h"
#include "apps/report/axis.h"
#include "apps/report/tables.h"
#include "tensor/check.h"

namespace dlcm::apps {
namespace {

constexpr size_t kMostEvaluations = 2000;  // of a run; about 700 bytes a sample

// Of each domain of each run, in the order of steps; by domain, so that those of one lie side by side.
using Series = std::map<std::pair<std::string, size_t>, std::vector<const RecordedSample*>>;

std::set<int64_t> steps_of(const RecordedRun& run) {
  std::set<int64_t> steps;
  for (const RecordedSample& sample : run.samples) steps.insert(sample.step);
  return steps;
}

// All, or as many as the page holds, the first and the last among them.
std::set<int64_t> chosen_steps(const RecordedRun& run) {
  const std::set<int64_t> all = steps_of(run);
  const std::vector<int64_t> steps(all.begin(), all.end());
  std::set<int64_t> chosen;
  for (const size_t i : evenly_chosen(steps.size(), kMostEvaluations)) chosen.insert(steps[i]);
  return chosen;
}

Series series_of(const std::vector<RecordedRun>& runs) {
  Series series;
  for (size_t i = 0; i < runs.size(); ++i) {
    const std::set<int64_t> chosen = chosen_steps(runs[i]);
    for (const RecordedSample& sample : runs[i].samples) {
      if (chosen.contains(sample.step)) series[{sample.domain, i}].push_back(&sample);
    }
  }
  return series;
}

// What is left out: "NAME: 2,000 of 10,000 evaluations."
std::string omissions(const std::vector<RecordedRun>& runs) {
  std::string text;
  for (const RecordedRun& run : runs) {
    const size_t count = steps_of(run).size();
    if (count <= kMostEvaluations) continue;
    text += concat(' ', runs.size() > 1 ? run.name + ": " : "Here are ", step_text(kMostEvaluations), " of ",
                   step_text(static_cast<int64_t>(count)), " evaluations, evenly apart.");
  }
  return text;
}

// Of a probability; -1 where it is none.
int64_t thousandths(double p) {
  return std::isfinite(p) ? std::lround(p * 1000) : -1;
}

// "p 0.812, 3 tokens"
std::string tooltip(double p, int64_t tokens) {
  const int64_t parts = thousandths(p);
  char text[60] = "p \u2013";
  if (parts >= 0) std::snprintf(text, sizeof(text), "p %.3f", static_cast<double>(parts) / 1000);
  return concat(text, ", ", tokens, tokens == 1 ? " token" : " tokens");
}

// A concept without text holds the rest of a character that began in the one before.
std::string marked_text(const RecordedSample& sample) {
  std::string html = "<div class=\"text\" dir=\"auto\">";
  for (size_t i = 0; i < sample.concepts.size(); ++i) {
    if (sample.concepts[i].empty()) continue;
    html += "<i title=\"" + tooltip(sample.p[i], sample.tokens[i]) + "\">" +
            html_escaped(sample.concepts[i]) + "</i>";
  }
  return html + "</div>\n";
}

std::string heading(const std::string& name, const RecordedSample& sample) {
  int64_t tokens = 0;
  for (const int64_t count : sample.tokens) tokens += count;
  const double mean =
      static_cast<double>(tokens) / static_cast<double>(std::max<size_t>(1, sample.concepts.size()));
  char text[40];
  std::snprintf(text, sizeof(text), "%.2f", mean);
  std::string whose = name;
  if (!sample.domain.empty()) whose += (whose.empty() ? "" : ", ") + sample.domain;
  return concat("<h4><bdi>", html_escaped(whose.empty() ? "held-out text" : whose), "</bdi> <small>step ",
                step_text(sample.step), ": ", sample.concepts.size(), " concepts, ", text,
                " tokens in each</small></h4>\n");
}

// A row for each domain, in which the runs lie side by side; of one run domains do.
std::string last_samples(const std::vector<std::string>& names, const Series& series) {
  const bool is_one = names.size() == 1;
  std::map<std::string, std::string> rows;
  for (const auto& [key, samples] : series) {
    const auto& [domain, run] = key;
    rows[domain] +=
        concat("<section", is_one ? "" : concat(" class=\"run", run, "\""), ">\n",
               heading(names[run], *samples.back()), marked_text(*samples.back()), "</section>\n");
  }
  std::string html = concat("<div class=\"shelf", is_one ? "" : " rows", "\">\n");
  for (const auto& [domain, sections] : rows) html += "<div>\n" + sections + "</div>\n";
  return html + "</div>\n";
}

// In a script element: there "<" would begin its end or a comment.
std::string script_json(const nlohmann::json& value) {
  const std::string json = value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  std::string text;
  for (const char c : json) text += c == '<' ? std::string("\\u003c") : std::string(1, c);
  return text;
}

int64_t characters(const std::string& utf8) {
  return std::count_if(utf8.begin(), utf8.end(), [](char c) { return (c & 0xC0) != 0x80; });
}

// The same text throughout a run: it is there once.
std::string all_samples(const std::vector<std::string>& names, const Series& series) {
  std::map<std::string, size_t> places;
  std::vector<std::string> texts;
  nlohmann::json all = nlohmann::json::array();
  for (const auto& [key, samples] : series) {
    nlohmann::json lines = nlohmann::json::array();
    for (const RecordedSample* sample : samples) {
      std::string text;
      for (const std::string& part : sample->concepts) text += part;
      const auto [place, is_new] = places.emplace(text, texts.size());
      if (is_new) texts.push_back(text);
      std::vector<int64_t> line = {sample->step, static_cast<int64_t>(place->second)};
      for (size_t i = 0; i < sample->concepts.size(); ++i) {
        line.insert(line.end(),
                    {characters(sample->concepts[i]), sample->tokens[i], thousandths(sample->p[i])});
      }
      lines.push_back(std::move(line));
    }
    all.push_back({{"run", key.second}, {"domain", key.first}, {"samples", std::move(lines)}});
  }
  return script_json({{"runs", names}, {"texts", texts}, {"series", std::move(all)}});
}

}  // namespace

std::string samples_view(const std::vector<RecordedRun>& runs) {
  const Series series = series_of(runs);
  if (series.empty()) {
    return "<p class=\"note\">There are none: train writes them (samples.jsonl) at each evaluation of a DLCM "
           "whose shards have held-out text and, beside them, the tokenizer.json.</p>\n";
  }
  std::vector<std::string> names;
  for (const RecordedRun& run : runs) names.push_back(runs.size() > 1 ? run.name : "");
  return concat(
      "<p class=\"note\">The beginning of a held-out document of each domain. A concept begins where p, the "
      "probability of a boundary, reaches the model's threshold; point at one, or press on it, to see p.",
      html_escaped(omissions(runs)),
      "</p>\n<noscript><p class=\"note\">The last evaluation; a script shows the others.</p></noscript>\n"
      "<div class=\"samples\">\n",
      last_samples(names, series), "<script type=\"application/json\">", all_samples(names, series),
      "</script>\n</div>\n");
}

}  // namespace dlcm::apps
