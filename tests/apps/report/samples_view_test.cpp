#include "apps/report/samples_view.h"

#include <doctest/doctest.h>

#include "tests/data/temporary_folder.h"

namespace dlcm::apps {

using test::contains;

TEST_CASE("samples view: concepts with p, markup as text, nothing of a concept without text") {
  RecordedRun run;
  run.samples = {{20, "code", {"</script>", "", "\"x\"\n"}, {3, 1, 2}, {1.0, 0.75, 0.5}}};
  const std::string html = samples_view({run});
  CHECK(contains(html,
                 "<i title=\"p 1.000, 3 tokens\">&lt;/script&gt;</i><i title=\"p 0.500, 2 tokens\">"
                 "&quot;x&quot;\n</i>"));
  CHECK(contains(html, "<details class=\"step\" open><summary>Step 20</summary>"));
  CHECK(contains(html, "code <small>3 concepts, 2.00 tokens in each"));
}

TEST_CASE("samples view: some of many evaluations, the last one open; runs by domain") {
  RecordedRun a, b;
  a.name = "first";
  b.name = "second";
  for (int64_t step = 1; step <= 500; ++step) {
    for (const char* domain : {"code", "prose"}) {
      a.samples.push_back({step, domain, {"x"}, {1}, {1.0}});
      b.samples.push_back({step, domain, {"y"}, {1}, {1.0}});
    }
  }
  const std::string html = samples_view({a, b});
  CHECK(html.size() < 30'000);
  CHECK(contains(html, "Step 1</summary>"));
  CHECK(contains(html, "open><summary>Step 500</summary>"));
  CHECK(html.find("first, code") < html.find("second, code"));
  CHECK(html.find("second, code") < html.find("first, prose"));
}

TEST_CASE("samples view: why there is nothing") {
  CHECK(contains(samples_view({RecordedRun()}), "There are none: train writes them"));
}

}  // namespace dlcm::apps
