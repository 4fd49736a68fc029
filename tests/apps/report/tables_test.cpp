#include "apps/report/tables.h"

#include <cmath>

#include <doctest/doctest.h>

#include "tests/data/temporary_folder.h"

namespace dlcm::apps {
namespace {

using test::contains;

// Evaluations every 10 steps with these tokens per concept, by domain.
RecordedRun run_with(const std::map<std::string, std::vector<double>>& tokens_per_concept) {
  RecordedRun run;
  run.name = "run";
  run.has_concepts = true;
  for (const auto& [domain, values] : tokens_per_concept) {
    for (size_t i = 0; i < values.size(); ++i) {
      const double step = 10.0 * static_cast<double>(i + 1);
      run.metrics["heldout_tokens_per_concept/" + domain].push_back({step, values[i]});
    }
  }
  return run;
}

}  // namespace

TEST_CASE("tables: evenly chosen numbers have both ends") {
  CHECK(evenly_chosen(0, 4).empty());
  CHECK(evenly_chosen(1, 4) == std::vector<size_t>{0});
  CHECK(evenly_chosen(3, 4) == std::vector<size_t>{0, 1, 2});
  CHECK(evenly_chosen(100, 4) == std::vector<size_t>{0, 33, 66, 99});
  CHECK(evenly_chosen(7, 1) == std::vector<size_t>{6});
}

TEST_CASE("tables: whether tokens per concept differ between domains") {
  const std::string differ =
      domain_comparison(run_with({{"code", {2, 5, 3}}, {"prose", {4, 4, 4.5}}, {"math", {3, 4.5, 4}}}));
  CHECK(differ ==
        "Tokens per concept differ between domains: 4.50 in prose, 3.00 in code, a ratio of 1.50. Of the "
        "last 3 "
        "evaluations 2 have these two at the ends.");
  CHECK(contains(domain_comparison(run_with({{"a", {4.0}}, {"b", {4.4}}})), "differ a little between"));
  CHECK(
      contains(domain_comparison(run_with({{"a", {4.0, 4.0}}, {"b", {4.1, 4.1}}})), "hardly differ between"));
  CHECK(
      contains(domain_comparison(run_with({{"a", {4.0, 4.0}}, {"b", {4.1, 4.1}}})), "evaluations all have"));
  CHECK(contains(domain_comparison(run_with({{"a", {5.0, 4.0}}, {"b", {4.1, 4.1}}})), "evaluations 1 has"));
  CHECK(domain_comparison(run_with({{"a", {4.0}}})).empty());
  CHECK(domain_comparison(run_with({{"a", {4.0}}, {"b", {NAN}}})).empty());
  CHECK(domain_comparison(RecordedRun()).empty());
}

TEST_CASE("tables: runs side by side, what is not known as a dash, markup as text") {
  RecordedRun dlcm = run_with({{"<i>", {4}}});
  dlcm.name = "a<b>";
  dlcm.folder = "runs/a&b";
  dlcm.config = Config();
  dlcm.config->schedule.steps = 2000;
  dlcm.parameters = 3'886'784;
  dlcm.last_step = 1500;
  dlcm.metrics["tokens_per_second"] = {{1, 10}, {2, 30}, {3, 20}};
  dlcm.metrics["peak_bytes"] = {{1, 5e6}, {2, 7e6}, {3, 6e6}};
  dlcm.metrics["heldout_loss"] = {{10, 2.5}};
  RecordedRun other;
  other.name = "other";
  RecordedRun plain = other;
  plain.config = Config();
  plain.config->model.kind = ModelKind::transformer;
  CHECK(contains(runs_table({dlcm, plain, other}),
                 "<tr><th scope=\"row\">model</th><td>DLCM</td><td>transformer</td><td>\u2013</td></tr>"));
  const std::string html = runs_table({dlcm, other});
  CHECK(contains(html, "a&lt;b&gt;"));
  CHECK(contains(html, "parameters</th><td>3.89 M</td><td>\u2013</td>"));
  CHECK(contains(html, "steps</th><td>1,500 of 2,000</td><td>0</td>"));
  CHECK(contains(html, "tokens per concept, &lt;i&gt;</th><td>4</td><td>\u2013</td>"));
  CHECK(contains(html, "tokens per second, median</th><td>20</td>"));
  CHECK(contains(html, "memory of tensors, most</th><td>7 MB</td>"));
  CHECK(contains(html, "runs/a&amp;b"));
  CHECK(contains(html, "data-run=\"1\""));
  CHECK_FALSE(contains(runs_table({other}), "data-run"));
  CHECK_FALSE(contains(runs_table({other}), "tokens per concept"));
}

TEST_CASE("tables: every evaluation, of many some with both ends, and how many there are") {
  RecordedRun run;
  CHECK(evaluations_table(run).empty());
  for (int i = 1; i <= 40; ++i) run.metrics["heldout_loss"].push_back({i * 10.0, 1.0 / i});
  CHECK_FALSE(contains(evaluations_table(run), "evaluations, evenly apart"));
  for (int i = 41; i <= 1000; ++i) run.metrics["heldout_loss"].push_back({i * 10.0, 1.0 / i});
  run.metrics["heldout_bits_per_byte/a\"b"] = {{10, 8.125}};
  const std::string html = evaluations_table(run);
  CHECK(html.size() < 10'000);
  CHECK(contains(html, "40 of 1,000 evaluations, evenly apart"));
  CHECK(contains(html, ">bits_per_byte/a&quot;b</th>"));
  CHECK(contains(html, "<th scope=\"row\">10</th><td>8.125</td><td>1</td>"));
  CHECK(contains(html, "<th scope=\"row\">10,000</th><td>\u2013</td><td>0.001</td>"));
}

}  // namespace dlcm::apps
