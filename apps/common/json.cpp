#include "apps/common/json.h"

#include <nlohmann/json.hpp>

namespace dlcm::apps {

using nlohmann::json;

std::string json_text(std::string_view text) {
  return json(text).dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string json_text(const char* text) {
  return json_text(std::string_view(text));
}

std::string json_text(bool value) {
  return value ? "true" : "false";
}

std::string json_text(int32_t value) {
  return std::to_string(value);
}

std::string json_text(int64_t value) {
  return std::to_string(value);
}

std::string json_text(double value) {
  return json(value).dump();
}

std::string json_array(const std::vector<std::string>& values) {
  std::string text = "[";
  for (const std::string& value : values) text += (&value == values.data() ? "" : ",") + value;
  return text + "]";
}

void JsonObject::add_json(std::string_view key, const std::string& value) {
  if (text_.size() > 1) text_ += ',';
  text_ += json_text(key) + ":" + value;
}

std::optional<int64_t> json_whole_number(const std::string& object, const std::string& key) {
  const json value = json::parse(object, nullptr, false);
  if (!value.is_object()) return std::nullopt;
  const auto found = value.find(key);
  if (found == value.end() || !found->is_number_integer()) return std::nullopt;
  return found->get<int64_t>();
}

}  // namespace dlcm::apps
