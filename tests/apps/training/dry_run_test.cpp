#include "apps/training/dry_run.h"

#include <sstream>

#include <doctest/doctest.h>

#include "dlcm/language_model.h"
#include "tests/apps/tiny_model.h"

namespace dlcm::test {
namespace {

// The words of the line of the table that begins with `name`.
std::vector<std::string> row_of(const std::string& text, const std::string& name) {
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(name + " ")) continue;
    std::istringstream words(line.substr(name.size()));
    return {std::istream_iterator<std::string>(words), {}};
  }
  return {};
}

TEST_CASE("dry run: every parameter is counted, in parts that add up") {
  for (const ModelKind kind : {ModelKind::dlcm, ModelKind::transformer}) {
    const apps::Config config = tiny_config(kind);
    int64_t parameters = 0;
    for (const nn::Parameter* parameter : make_model(config.model)->parameters())
      parameters += parameter->shape().numel();
    const std::string text = apps::dry_run_text(config);
    INFO(text);
    const std::vector<std::string> total = row_of(text, "total");
    REQUIRE(total.size() > 1);
    CHECK(total[1] == std::to_string(parameters));  // after the rounded number
    CHECK_FALSE(row_of(text, "unembedding").empty());
    CHECK(row_of(text, "FLOPs of the run").size() == 2);
  }
}

TEST_CASE("dry run: billions of parameters are described without being allocated") {
  apps::Config config;
  config.model.backbone = {8192, 64, 8, 32768};
  config.model.backbone_layers = 100;
  const std::string text = apps::dry_run_text(config);
  const std::vector<std::string> total = row_of(text, "total");
  REQUIRE(total.size() > 2);
  INFO(text);
  CHECK(total[1] == "B");  // "95.6 B"
}

}  // namespace
}  // namespace dlcm::test
