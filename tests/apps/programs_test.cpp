// generate, evaluate and segment as a user runs them.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include <doctest/doctest.h>

#include "tests/apps/tiny_model.h"

using namespace dlcm;
using nlohmann::json;

namespace {

struct Files {
  test::TemporaryFolder folder;
  std::string model = folder / "model.h5";
  Files() {
    const apps::Config config = test::tiny_config(ModelKind::dlcm);
    test::write_tiny_checkpoint(model, config, *test::tiny_model(config));
    test::write_tiny_shard(folder / "heldout-00000.h5", {"Some text.", "Other text \u20ac", ""});
  }
  test::ProgramRun run(const std::string& program, const std::string& arguments,
                       const std::string& input = "") const {
    return test::run_program(program, "--checkpoint '" + model + "' " + arguments, input);
  }
};

// One line on standard error, nothing on standard output, this code.
void check_refused(const test::ProgramRun& run, int code, const std::string& part) {
  CAPTURE(run.errors);
  CHECK(run.code == code);
  CHECK(run.output.empty());
  CHECK(std::count(run.errors.begin(), run.errors.end(), '\n') == 1);
  CHECK(run.errors.find(part) != std::string::npos);
}

}  // namespace

TEST_CASE("program generate: text, JSON, standard input, errors") {
  const Files files;
  const test::ProgramRun text = files.run("generate", "--prompt 'a b' --max-tokens 12");
  const test::ProgramRun lines =
      files.run("generate", "--prompt x --prompt 'a b' --prompt '' --max-tokens 12 --json");
  CHECK(text.code == 0);
  CHECK(lines.code == 0);
  std::istringstream in(lines.output);
  std::vector<json> objects;
  for (std::string line; std::getline(in, line);) objects.push_back(json::parse(line));
  REQUIRE(objects.size() == 3);
  CHECK(text.output == objects[1]["text"].get<std::string>() + "\n");
  CHECK(objects[1]["tokens"].size() == objects[1]["boundaries"].size());
  CHECK(objects[1]["tokens"].size() == objects[1]["log_probabilities"].size());
  const test::ProgramRun input = files.run("generate", "--prompt-file - --max-tokens 12 --json", "a b");
  CHECK(json::parse(input.output)["text"] == objects[1]["text"]);

  check_refused(files.run("generate", "--temperature -1"), 2, "--temperature");
  check_refused(files.run("generate", "--seed -1"), 2, "--seed");
  check_refused(files.run("generate", "--bogus"), 2, "--bogus");
  check_refused(files.run("generate", "--prompt-file '" + files.folder / "none" + "'"), 2, "none");
  check_refused(test::run_program("generate", "--checkpoint '" + files.folder / "heldout-00000.h5" + "'"), 2,
                "heldout-00000.h5");
  const test::ProgramRun help = test::run_program("generate", "--help");
  CHECK(help.code == 0);
  CHECK(help.output.find("Examples:") != std::string::npos);
  CHECK(test::run_program("generate", "--version").output.starts_with("dlcm "));
}

TEST_CASE("program evaluate: the last line, the dump, errors") {
  const Files files;
  const std::string dump = files.folder / "dump.h5";
  const test::ProgramRun run =
      files.run("evaluate", "--data '" + files.folder.path() + "' --dump '" + dump + "' --logits");
  CHECK(run.code == 0);
  const json result = json::parse(run.output);
  CHECK(result["tokens"] == 11 + 15 + 1);
  CHECK(result["bytes"] == 10 + 14);
  CHECK(result["bits_per_byte"].get<double>() ==
        doctest::Approx(result["loss"].get<double>() * 27 / 24 / std::log(2.0)));
  CHECK(result.size() == 7);
  CHECK(std::filesystem::exists(dump));

  const std::string shard = files.folder / "heldout-00000.h5";
  check_refused(files.run("evaluate", "--data '" + shard + "' --dump '" + shard + "'"), 2, "being read");
  check_refused(files.run("evaluate", "--data '" + shard + "' --logits"), 2, "--dump");
  const std::string other = files.folder / "train-00000.h5";
  const std::string link = files.folder / "latest.h5";
  test::write_tiny_shard(other, {"More."});
  std::filesystem::create_symlink("train-00000.h5", link);
  for (const std::string& kept : {other, link}) {
    const std::string bytes = test::read_bytes(kept);
    check_refused(files.run("evaluate", "--data '" + shard + "' --dump '" + kept + "'"), 2,
                  "is not a dump of evaluate");
    CHECK(test::read_bytes(kept) == bytes);
  }
  CHECK(std::filesystem::is_symlink(link));
  CHECK(files.run("evaluate", "--data '" + shard + "' --dump '" + dump + "'").code == 0);  // an earlier dump
  check_refused(files.run("evaluate", "--data '" + files.folder / "none" + "'"), 2, "none");
  check_refused(files.run("evaluate", "--data '" + shard + "' --max-tokens 0"), 2, "--max-tokens");
  check_refused(files.run("evaluate", "--data '" + shard + "' --max-tokens 0x10"), 2, "'0x10'");
}

TEST_CASE("program segment: a text, a file, JSON, a page, errors") {
  const Files files;
  const std::string text = "It was the best of times \u20ac.";
  const test::ProgramRun bars = files.run("segment", "'" + text + "'");
  CHECK(bars.code == 0);
  std::string joined = bars.output;
  std::erase(joined, '|');
  CHECK(joined == text + "\n");
  CHECK(bars.output.find('|') != std::string::npos);
  CHECK(files.run("segment", "-", text).output == bars.output);
  CHECK(files.run("segment", "", text).output == bars.output);

  const std::string page = files.folder / "page.html";
  const json result = json::parse(files.run("segment", "--json --html '" + page + "' '" + text + "'").output);
  joined.clear();
  for (const json& span : result["concepts"]) joined += span["text"].get<std::string>();
  CHECK(joined == text);
  CHECK(result["tokens"] == text.size());
  CHECK(test::read_bytes(page).starts_with("<!DOCTYPE html>"));
  CHECK(json::parse(files.run("segment", "--json '" + page + "'").output)["tokens"] ==
        test::read_bytes(page).size());

  CHECK(files.run("segment", "--html '" + page + "' '" + text + "'").code == 0);  // an earlier page
  check_refused(files.run("segment", "--html '" + page + "' '" + page + "'"), 2, "being read");
  check_refused(files.run("segment", "--html '" + files.model + "' text"), 2, "being read");
  const std::string shard = files.folder / "heldout-00000.h5";
  check_refused(files.run("segment", "--html '" + shard + "' text"), 2, "is not a page of HTML");
  check_refused(files.run("segment", "'" + files.folder.path() + "'"), 2, "folder");
  check_refused(files.run("segment", "-", "a\xFF"), 2, "not UTF-8");
  check_refused(files.run("segment", "--html '" + files.folder / "no/page.html" + "' text"), 1, "page.html");
}
