#include "apps/segmenting/page.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "apps/common/html.h"
#include "tensor/check.h"

namespace dlcm::apps {
namespace {

// Lengths from here on share the histogram's last bar.
constexpr size_t kMostBars = 32;
constexpr int kBarWidth = 18;
constexpr int kBarHeight = 120;
constexpr size_t kMostShown = 64;  // values of p in one tooltip

constexpr char kHead[] = R"(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Concepts</title>
<style>
:root { color-scheme: light dark; --a: #cfe3f7; --b: #f7e2bd; --ink: #1b1b1b; --paper: #ffffff; --bar: #3b78b5; }
@media (prefers-color-scheme: dark) { :root { --a: #1d4567; --b: #66490f; --ink: #ececec; --paper: #171717; --bar: #6ba6df; } }
body { background: var(--paper); color: var(--ink); font: 16px/1.7 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.3rem; } h2 { font-size: 1.05rem; margin-top: 2rem; } p.note { opacity: 0.75; font-size: 0.9rem; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; }
.text span { unicode-bidi: isolate; padding: 0.1em 0; border-radius: 2px; } .text span:hover { outline: 2px solid var(--bar); }
.a { background: var(--a); } .b { background: var(--b); }
svg text { fill: var(--ink); font: 10px system-ui, sans-serif; } svg rect { fill: var(--bar); }
</style>
</head>
<body>
)";

std::string number(double value, const char* format = "%.3f") {
  char text[40];
  std::snprintf(text, sizeof(text), format, value);
  return text;
}

// "p 0.812 - 3 tokens: 0.812 0.201 0.114"
std::string tooltip(const ConceptSpan& span) {
  std::string text = concat("p ", number(span.probability.front()), " \u2013 ", span.tokens,
                            span.tokens == 1 ? " token" : " tokens");
  if (span.tokens == 1) return text;
  text += ":";
  for (size_t i = 0; i < std::min(span.probability.size(), kMostShown); ++i) {
    text += ' ';
    text += std::isnan(span.probability[i]) ? "\u2013" : number(span.probability[i]);
  }
  return span.probability.size() > kMostShown ? text + " \u2026" : text;
}

std::string marked_text(const std::vector<ConceptSpan>& concepts) {
  std::string html = "<div class=\"text\" dir=\"auto\">";
  bool second = false;
  for (const ConceptSpan& span : concepts) {
    html += concat("<span class=\"", second ? "b" : "a", "\" title=\"", tooltip(span), "\">",
                   html_escaped(span.text), "</span>");
    second = !second;
  }
  return html + "</div>\n";
}

// The counts of lengths 1, 2, ...; the last holds all longer ones too.
std::vector<int64_t> bars_of(const std::vector<int64_t>& histogram) {
  std::vector<int64_t> bars(histogram.begin(), histogram.begin() + static_cast<std::ptrdiff_t>(std::min(
                                                                       histogram.size(), kMostBars)));
  for (size_t i = kMostBars; i < histogram.size(); ++i) bars.back() += histogram[i];
  return bars;
}

std::string histogram_picture(const std::vector<int64_t>& histogram) {
  const std::vector<int64_t> bars = bars_of(histogram);
  const int64_t highest = *std::max_element(bars.begin(), bars.end());
  std::string svg = concat("<svg role=\"img\" aria-label=\"Histogram of concept lengths\" width=\"",
                           bars.size() * kBarWidth, "\" height=\"", kBarHeight + 16, "\">\n");
  for (size_t i = 0; i < bars.size(); ++i) {
    const double height = kBarHeight * static_cast<double>(bars[i]) / static_cast<double>(highest);
    const bool is_last_of_many = i + 1 == kMostBars && histogram.size() > kMostBars;
    const std::string length = concat(i + 1, is_last_of_many ? "+" : "");
    svg +=
        concat("<g><title>", length, " tokens: ", bars[i], " concepts</title><rect x=\"", i * kBarWidth + 1,
               "\" y=\"", number(kBarHeight - height, "%.1f"), "\" width=\"", kBarWidth - 2, "\" height=\"",
               number(height, "%.1f"), "\"/><text text-anchor=\"middle\" x=\"", i * kBarWidth + kBarWidth / 2,
               "\" y=\"", kBarHeight + 12, "\">", length, "</text></g>\n");
  }
  return svg + "</svg>\n";
}

std::string summary(const std::vector<ConceptSpan>& concepts) {
  int64_t tokens = 0;
  for (const ConceptSpan& span : concepts) tokens += span.tokens;
  const double mean = static_cast<double>(tokens) / static_cast<double>(concepts.size());
  return concat(concepts.size(), " concepts, ", tokens, " tokens, ", number(mean, "%.2f"),
                " tokens per concept");
}

}  // namespace

std::string concept_page(const std::vector<ConceptSpan>& concepts, const std::string& subtitle) {
  std::string html = concat(kHead, "<h1>Concepts</h1>\n<p class=\"note\">", html_escaped(subtitle), "</p>\n");
  if (concepts.empty()) return html + "<p>The text is empty.</p>\n</body>\n</html>\n";
  html += concat("<p>", summary(concepts),
                 ". A concept begins where p, the probability of a boundary, reaches the model's threshold; "
                 "point at one to see p.</p>\n");
  html += marked_text(concepts);
  html += "<h2>Concepts by length in tokens</h2>\n" + histogram_picture(length_histogram(concepts));
  return html + "</body>\n</html>\n";
}

}  // namespace dlcm::apps
