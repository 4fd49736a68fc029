#include "apps/report/json_lines.h"

#include <cmath>

#include <doctest/doctest.h>

#include "tests/data/temporary_folder.h"

namespace dlcm::apps {
namespace {

using namespace dlcm::test;

struct File {
  TemporaryFolder folder;
  std::string path = folder / "lines.jsonl";
  std::vector<MetricsLine> metrics(const std::string& text) const {
    write_bytes(path, text);
    std::vector<MetricsLine> lines;
    read_metrics_lines(path, [&](const MetricsLine& line) { lines.push_back(line); });
    return lines;
  }
  std::vector<RecordedSample> samples(const std::string& text) const {
    write_bytes(path, text);
    std::vector<RecordedSample> lines;
    read_sample_lines(path, [&](const RecordedSample& line) { lines.push_back(line); });
    return lines;
  }
};

const std::string kFirst = "{\"step\":1,\"loss\":2.5,\"peak_bytes\":7}\n";

}  // namespace

TEST_CASE("metrics lines: numbers, null, and what is neither is passed over") {
  const File file;
  const auto lines = file.metrics(
      kFirst +
      "{\"loss\":null,\"step\":2,\"a\":\"x\",\"b\":[1,{\"step\":9}],\"c\":{\"d\":4},\"e\":true,\"f\":-1}\n");
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].step == 1);
  CHECK(lines[0].fields == std::vector<std::pair<std::string, double>>{{"loss", 2.5}, {"peak_bytes", 7}});
  CHECK(lines[1].step == 2);
  REQUIRE(lines[1].fields.size() == 2);
  CHECK(lines[1].fields[0].first == "loss");
  CHECK(std::isnan(lines[1].fields[0].second));
  CHECK(lines[1].fields[1] == std::pair<std::string, double>{"f", -1});
  CHECK(file.metrics("").empty());
}

TEST_CASE("metrics lines: a last line that is being written is left out, a whole one is not") {
  const File file;
  const std::string second = "{\"step\":2,\"loss\":2.25}";
  for (size_t bytes = 0; bytes < second.size(); ++bytes) {
    CHECK(file.metrics(kFirst + second.substr(0, bytes)).size() == 1);
  }
  CHECK(file.metrics(kFirst + second).size() == 2);
}

TEST_CASE("metrics lines: a damaged line is named with its number") {
  const File file;
  for (const std::string bad :
       {"", "{", "{\"step\":2,\"lo", "{\"loss\":1}", "{\"step\":-1}", "{\"step\":1.5}", "[1]", "3", "null",
        "\"a\"", "{\"step\":2}}", "{\"step\":2}{}", "\xff\xfe"}) {
    CAPTURE(bad);
    const std::string message = message_of<InputError>([&] { file.metrics(kFirst + bad + "\n" + kFirst); });
    CHECK_MESSAGE(contains(message, "lines.jsonl, line 2: not a line that train writes"), message);
  }
  CHECK(contains(message_of<InputError>([&] { file.metrics("{\"step\":5}\n" + kFirst); }),
                 "line 2: step 1 comes after step 5"));
  CHECK(
      contains(message_of<InputError>([&] { read_metrics_lines(file.folder / "none", [](const auto&) {}); }),
               "none: cannot be read"));
}

TEST_CASE("sample lines: texts, tokens and p of each concept; others are refused") {
  const File file;
  const std::string good =
      "{\"step\":3,\"domain\":\"code\",\"concepts\":[\"if \",\"(\"],\"tokens\":[2,1],\"p\":[1.0,null]}\n";
  const auto lines = file.samples(good + "{\"step\":4,\"dom");
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].step == 3);
  CHECK(lines[0].domain == "code");
  CHECK(lines[0].concepts == std::vector<std::string>{"if ", "("});
  CHECK(lines[0].tokens == std::vector<int64_t>{2, 1});
  CHECK(lines[0].p[0] == 1);
  CHECK(std::isnan(lines[0].p[1]));
  for (const std::string bad :
       {"{\"step\":4}", "{\"step\":\"x\",\"domain\":\"\",\"concepts\":[],\"tokens\":[],\"p\":[]}",
        "{\"step\":4,\"domain\":\"\",\"concepts\":[\"a\"],\"tokens\":[],\"p\":[1]}",
        "{\"step\":4,\"domain\":\"\",\"concepts\":[3],\"tokens\":[1],\"p\":[1]}"}) {
    CAPTURE(bad);
    CHECK(contains(message_of<InputError>([&] { file.samples(good + bad + "\n"); }), "line 2: not a line"));
  }
}

}  // namespace dlcm::apps
