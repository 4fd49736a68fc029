// The program `report` as a user runs it, on runs of `train`.
#include <filesystem>
#include <fstream>

#include <doctest/doctest.h>

#include "tests/apps/tiny_model.h"
#include "tests/apps/training_place.h"

namespace dlcm::test {
namespace {

ProgramRun report(const std::string& arguments) {
  return run_program("report", arguments);
}

std::string quoted(const std::string& path) {
  return " '" + path + "'";
}

}  // namespace

TEST_CASE("program report: a DLCM and a transformer on one page; under way; refusals") {
  const TrainingPlace place;
  const Words brief = {"--set", "schedule.steps=12", "--set", "train.evaluate_every=4"};
  Words transformer = brief;
  transformer.insert(transformer.end(), {"--set", "model.kind=transformer", "--set", "model.token.layers=1"});
  REQUIRE(place.train("dlcm", brief) == 0);
  REQUIRE(place.train("plain", transformer) == 0);
  const std::string dlcm = place.folder / "dlcm", plain = place.folder / "plain";
  const std::string page = place.folder / "page.html";

  const ProgramRun one = report(quoted(dlcm));
  CHECK(one.code == 0);
  CHECK(one.output.starts_with("<!DOCTYPE html>"));
  for (const char* part : {"<b>Loss</b>", "<b>Held-out text, thresholded</b>", "<small>step 12: ", "[8,0,",
                           "12 of 12", "<i title=\"p ", ">R = 4</text>"}) {
    CAPTURE(part);
    CHECK(contains(one.output, part));
  }
  const ProgramRun both = report("--output" + quoted(page) + quoted(dlcm) + quoted("a <b>=" + plain));
  CHECK(both.code == 0);
  CHECK(both.output.empty());
  const std::string written = read_bytes(page);
  CHECK(contains(written, "data-name=\"dlcm\""));
  CHECK(contains(written, "data-name=\"a &lt;b&gt;\""));
  CHECK(report("--output" + quoted(page) + quoted(plain)).code == 0);  // an earlier page
  CHECK_FALSE(contains(read_bytes(page), "<b>Auxiliary loss</b>"));
  check_refused(report(quoted(dlcm) + quoted("x=" + dlcm)), 2, "is given twice");

  std::ofstream(dlcm + "/metrics.jsonl", std::ios::app) << "{\"step\":31,\"lo";
  std::ofstream(dlcm + "/samples.jsonl", std::ios::app) << "{\"st";
  CHECK(report(quoted(dlcm)).output == one.output);
  std::ofstream(dlcm + "/metrics.jsonl", std::ios::app) << "\n";
  check_refused(report(quoted(dlcm)), 2, "metrics.jsonl, line 16: not a line that train writes");
  check_refused(report(quoted(place.folder / "none")), 2, "holds no metrics.jsonl");
  check_refused(report("--output" + quoted(plain + "/config.toml") + quoted(plain)), 2,
                "is not a page of HTML");
  check_refused(report("--output" + quoted(place.folder / "no/page.html") + quoted(plain)), 1, "page.html");
  check_refused(report(""), 2, "RUN_DIR");
}

}  // namespace dlcm::test
