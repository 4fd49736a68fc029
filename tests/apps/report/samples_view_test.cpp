#include "apps/report/samples_view.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include <doctest/doctest.h>

#include "tests/data/temporary_folder.h"

namespace dlcm::apps {
namespace {

using nlohmann::json;
using test::contains;

// What the page's script reads.
json island(const std::string& html) {
  const std::string begin = "<script type=\"application/json\">";
  const size_t first = html.find(begin) + begin.size();
  return json::parse(html.substr(first, html.find("</script>", first) - first));
}

std::vector<int64_t> steps(const json& series) {
  std::vector<int64_t> found;
  for (const json& sample : series.at("samples")) found.push_back(sample.at(0).get<int64_t>());
  return found;
}

RecordedRun run_at(const std::string& name, const std::vector<int64_t>& steps) {
  RecordedRun run;
  run.name = name;
  for (const int64_t step : steps) run.samples.push_back({step, "code", {"x", "yz"}, {1, 2}, {1.0, 0.5}});
  return run;
}

std::vector<int64_t> multiples(int64_t of, int64_t count) {
  std::vector<int64_t> found;
  for (int64_t i = 1; i <= count; ++i) found.push_back(i * of);
  return found;
}

}  // namespace

TEST_CASE("samples view: concepts with p, markup as text, nothing of a concept without text") {
  RecordedRun run;
  run.samples = {{20, "code", {"</script>", "", "\"x\"\n", "y"}, {3, 1, 2, 1}, {1.0, 0.75, 0.5, NAN}}};
  const std::string html = samples_view({run});
  CHECK(contains(html,
                 "<i title=\"p 1.000, 3 tokens\">&lt;/script&gt;</i><i title=\"p 0.500, 2 tokens\">"
                 "&quot;x&quot;\n</i><i title=\"p \u2013, 1 token\">y</i>"));
  CHECK(contains(html, "<bdi>code</bdi> <small>step 20: 4 concepts, 1.75 tokens in each"));
  CHECK(contains(html, "<div class=\"text\" dir=\"auto\">"));
  const json data = island(html);
  CHECK(data.at("texts") == json{"</script>\"x\"\ny"});
  CHECK(data.at("series").at(0).at("samples").at(0) ==
        json{20, 0, 9, 3, 1000, 0, 1, 750, 4, 2, 500, 1, 1, -1});
}

TEST_CASE("samples view: every evaluation of every run, also of one with others than the rest") {
  const std::vector<int64_t> often = multiples(10, 100);
  const json data = island(samples_view({run_at("often", often), run_at("once", {333})}));
  CHECK(data.at("runs") == json{"often", "once"});
  REQUIRE(data.at("series").size() == 2);
  CHECK(steps(data.at("series").at(0)) == often);
  CHECK(data.at("series").at(1).at("run") == 1);
  CHECK(steps(data.at("series").at(1)) == std::vector<int64_t>{333});
  CHECK(data.at("texts").size() == 1);
}

TEST_CASE("samples view: of very many evaluations some, both ends of each run among them; the view says so") {
  const std::vector<int64_t> all = multiples(7, 5000);
  const std::string html = samples_view({run_at("<a>", all), run_at("b", {3, 40'000})});
  CHECK(contains(html, "&lt;a&gt;: 2,000 of 5,000 evaluations, evenly apart."));
  CHECK_FALSE(contains(html, "b: "));
  const std::vector<int64_t> shown = steps(island(html).at("series").at(0));
  CHECK(shown.size() == 2000);
  CHECK(shown.front() == 7);
  CHECK(shown.back() == 35'000);
  CHECK(steps(island(html).at("series").at(1)) == std::vector<int64_t>{3, 40'000});
  CHECK(contains(samples_view({run_at("a", all)}), "Here are 2,000 of 5,000 evaluations"));
  CHECK_FALSE(contains(samples_view({run_at("a", multiples(7, 2000))}), "evenly apart"));
}

TEST_CASE("samples view: the last samples of each run side by side by domain; characters, not bytes") {
  RecordedRun a = run_at("first", {1, 2}), b = run_at("second", {1});
  a.samples.push_back({2, "prose", {"\u05E9\u05DC", "\U0001F600"}, {4, 4}, {1.0, 1.0}});
  const std::string html = samples_view({a, b});
  CHECK(html.find("<bdi>first, code</bdi> <small>step 2:") <
        html.find("<bdi>second, code</bdi> <small>step 1:"));
  CHECK(html.find("second, code") < html.find("first, prose"));
  CHECK(contains(html, "<section class=\"run1\">"));
  CHECK(contains(html, "<div class=\"shelf rows\">"));
  CHECK(contains(samples_view({a}), "<div class=\"shelf\">"));  // one run has its domains side by side
  CHECK(island(html).at("series").at(2).at("samples").at(0) == json{2, 1, 2, 4, 1000, 1, 4, 1000});
}

TEST_CASE("samples view: why there is nothing") {
  CHECK(contains(samples_view({RecordedRun()}), "There are none: train writes them"));
}

}  // namespace dlcm::apps
