#include "apps/generation/output.h"

#include <nlohmann/json.hpp>
#include <sstream>

#include <doctest/doctest.h>

using namespace dlcm;
using namespace dlcm::apps;

TEST_CASE("text output: one prompt as it comes") {
  std::ostringstream out;
  const std::vector<std::string> prompts = {"p"};
  TextOutput output(out, prompts, ConceptMarks::bars, ControlCharacters::as_they_are);
  output.text(0, {"ab", {0, 1}});
  CHECK(out.str() == "a|b");
  output.text(0, {"c", {0}});
  CHECK(out.str() == "a|b|c");
  output.finished(0);
  CHECK(out.str() == "a|b|c\n");
}

TEST_CASE("text output: several prompts in order, whatever the order of the events") {
  std::ostringstream out;
  const std::vector<std::string> prompts = {"first", "a \"quoted\"\nline", std::string(100, 'x')};
  TextOutput output(out, prompts, ConceptMarks::none, ControlCharacters::as_they_are);
  output.text(2, {"zz", {}});
  output.finished(2);
  output.text(1, {"y", {}});
  output.text(0, {"x", {}});
  output.finished(0);
  output.text(1, {"Y", {}});
  output.finished(1);
  CHECK(out.str() == "== 1: \"first\"\nx\n== 2: \"a \\\"quoted\\\"\\nline\"\nyY\n== 3: \"" +
                         std::string(60, 'x') + "\" ...\nzz\n");
}

TEST_CASE("text output: a stream that cannot be written to is an error") {
  std::ostringstream out;
  const std::vector<std::string> prompts = {"p"};
  TextOutput output(out, prompts, ConceptMarks::none, ControlCharacters::as_they_are);
  out.setstate(std::ios::badbit);
  CHECK_THROWS_AS(output.text(0, {"a", {}}), Error);
}

TEST_CASE("json output: one object a line in order, with the keys that are promised") {
  std::ostringstream out;
  const std::vector<std::string> prompts = {"p\u20ac", "q"};
  JsonOutput output(out, prompts, ModelKind::dlcm);
  Generation generation;
  generation.text = "hi";
  generation.tokens = {104, 105};
  generation.log_probabilities = {-0.5, -1.0 / 3};
  generation.boundaries = {1, 0};
  generation.prompt_tokens = 4;
  generation.prompt_seconds = 2;
  generation.seconds = 0.5;
  output.finished(1, generation);
  CHECK(out.str().empty());
  output.finished(0, generation);
  std::istringstream lines(out.str());
  for (const std::string& prompt : prompts) {
    std::string line;
    std::getline(lines, line);
    const auto object = nlohmann::ordered_json::parse(line);
    std::vector<std::string> keys;
    for (const auto& [key, value] : object.items()) keys.push_back(key);
    CHECK(keys == std::vector<std::string>{"prompt", "text", "tokens", "log_probabilities", "boundaries",
                                           "prompt_tokens_per_second", "tokens_per_second"});
    CHECK(object["prompt"] == prompt);
    CHECK(object["log_probabilities"][1].get<double>() == -1.0 / 3);
    CHECK(object["boundaries"] == std::vector<int>{1, 0});
    CHECK(object["prompt_tokens_per_second"].get<double>() == 2);
    CHECK(object["tokens_per_second"].get<double>() == 4);
  }
}
