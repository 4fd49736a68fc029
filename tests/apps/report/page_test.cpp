#include "apps/report/page.h"

#include <cmath>

#include <doctest/doctest.h>

#include "tests/data/temporary_folder.h"

namespace dlcm::apps {
namespace {

using test::contains;

RecordedRun long_run(int64_t steps) {
  RecordedRun run;
  run.name = "long";
  run.has_concepts = true;
  run.last_step = steps;
  for (const char* field : {"loss", "aux_loss", "boundary_rate", "boundary_mean", "tokens_per_concept",
                            "gradient_norm", "rate_token", "rate_concept", "rate_other", "rate_boundary",
                            "alpha", "tokens_per_second", "matrix_share", "loader_wait", "peak_bytes"}) {
    Curve& curve = run.metrics[field];
    for (int64_t i = 1; i <= steps; ++i) {
      curve.push_back({static_cast<double>(i), 2 + std::sin(static_cast<double>(i))});
    }
  }
  return run;
}

}  // namespace

TEST_CASE("page: everything of a run, whatever its texts hold, and nothing from elsewhere") {
  RecordedRun run = long_run(3);
  run.name = "</title><script>alert(1)</script>";
  run.metrics["heldout_loss"] = run.metrics["heldout_loss/<img src=x>"] = {{3, 2.0}};
  run.samples = {{3, "<img src=x>", {"<!--", "</script><script>"}, {1, 1}, {1.0, 0.5}}};
  const std::string page = report_page({run});
  CHECK(page.starts_with("<!DOCTYPE html>"));
  CHECK(page.ends_with("</html>\n"));
  CHECK_FALSE(contains(page, "alert(1)</script>"));
  CHECK_FALSE(contains(page, "<img"));
  CHECK_FALSE(contains(page, "<!--"));
  CHECK_FALSE(contains(page, "src=\""));
  CHECK_FALSE(contains(page, "<link"));
  CHECK_FALSE(contains(page, "@import"));
  CHECK_FALSE(contains(page, "url("));
  CHECK(page.find("<script>") == page.rfind("<script>"));
  for (const char* title :
       {"Loss", "Training text, as sampled", "Boundaries", "Auxiliary loss", "Gradient norm",
        "Learning rates", "Speed", "Memory of tensors", "Waiting for data"}) {
    CHECK(contains(page, concat("<b>", title, "</b>")));
  }
}

TEST_CASE("page: several runs have a chart for each quantity; those with numbers alone") {
  RecordedRun dlcm = long_run(3), transformer;
  transformer.name = "plain";
  transformer.last_step = 5;
  transformer.metrics["loss"] = {{1, 3}, {5, 2}};
  const std::string page = report_page({dlcm, transformer});
  CHECK(contains(page, "<b>Boundaries: F, sampled rate</b>"));
  CHECK(contains(page, "<b>Learning rates: token</b>"));
  CHECK(contains(page, "data-name=\"plain\""));
  CHECK_FALSE(contains(page, "Loss: held-out"));
  CHECK(contains(page, "data-last=\"5\""));
  CHECK(contains(report_page({RecordedRun()}), "No step is recorded yet."));
}

TEST_CASE("page: a long run is a page of reasonable size") {
  const RecordedRun run = long_run(20'000);
  CHECK(report_page({run}).size() < 600'000);
}

}  // namespace dlcm::apps
