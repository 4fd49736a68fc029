#include "apps/hugging_face/configuration_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <variant>

#include "apps/common/config_keys.h"

namespace dlcm::apps {
namespace {

using Json = nlohmann::ordered_json;

Json value_json(const WholeNumber& place) {
  return *place.value;
}
Json value_json(const Number& place) {
  return *place.value;
}
Json value_json(const bool* place) {
  return *place;
}
Json value_json(const Text& place) {
  return *place.value;
}
Json value_json(const Choice& place) {
  return place.names.at(place.get());
}

}  // namespace

std::string configuration_json(const Config& config) {
  Config copy = config;
  Json all = Json::object();
  for (const Key& key : config_keys(copy)) {
    if (!applies_to(key, copy.model.kind)) continue;
    Json* table = &all;
    for (size_t begin = 0; begin < key.table.size();) {
      const size_t end = std::min(key.table.find('.', begin), key.table.size());
      table = &(*table)[key.table.substr(begin, end - begin)];
      begin = end + 1;
    }
    (*table)[key.name] = std::visit([](const auto& place) { return value_json(place); }, key.place);
  }
  return all.dump();
}

std::string first_difference(const std::string& one, const std::string& other) {
  const nlohmann::json changes =
      nlohmann::json::diff(nlohmann::json::parse(one), nlohmann::json::parse(other));
  if (changes.empty()) return "";
  const auto path = changes[0]["path"].get<std::string>();
  return path.empty() ? "/" : path;  // where one is no object
}

}  // namespace dlcm::apps
