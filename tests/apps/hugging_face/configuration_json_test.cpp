#include "apps/hugging_face/configuration_json.h"

#include <nlohmann/json.hpp>

#include <doctest/doctest.h>

namespace dlcm::apps {
namespace {

TEST_CASE("configuration as JSON: every key in its table; the first that differs is named") {
  Config config;
  config.model.token.width = 96;
  config.optimizer.rate_token = 1.5e-3;
  const std::string text = configuration_json(config);
  const nlohmann::json json = nlohmann::json::parse(text);
  CHECK(json["model"]["token"]["width"] == 96);
  CHECK(json["model"]["boundary"]["predictor"] == "decoupled");
  CHECK(json["optimizer"]["rate_token"] == 1.5e-3);
  CHECK(json["mup"]["enabled"] == true);
  CHECK(first_difference(text, text).empty());
  config.model.token.width = 98;
  CHECK(first_difference(text, configuration_json(config)) == "/model/token/width");
  CHECK(first_difference("3", text) == "/");
}

}  // namespace
}  // namespace dlcm::apps
