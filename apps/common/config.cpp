// Writing a configuration, and the rules that hold across its keys.
#include "apps/common/config.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "apps/common/config_keys.h"
#include "tensor/check.h"

namespace dlcm::apps {
namespace {

// The shortest decimal that reads back as the same double, in TOML's form of a float.
std::string toml_number(double value) {
  std::array<char, 32> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  std::string text(digits.data(), end);
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}

std::string toml_text(const std::string& value) {
  std::string text = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') text += '\\';
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      std::array<char, 8> escape{};
      std::snprintf(escape.data(), escape.size(), "\\u%04x", static_cast<unsigned char>(c));
      text += escape.data();
    } else {
      text += c;
    }
  }
  return text + "\"";
}

std::string toml_key(const std::string& name) {
  const auto is_bare = [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  };
  if (!name.empty() && std::all_of(name.begin(), name.end(), is_bare)) return name;
  return toml_text(name);
}

std::string toml_value(const WholeNumber& place) {
  return std::to_string(*place.value);
}

std::string toml_value(const Number& place) {
  return toml_number(*place.value);
}

std::string toml_value(const bool* place) {
  return *place ? "true" : "false";
}

std::string toml_value(const Text& place) {
  return toml_text(*place.value);
}

std::string toml_value(const Choice& place) {
  const std::string text = "\"" + place.names.at(place.get()) + "\"";
  std::string others;
  for (const std::string& name : place.names) others += (others.empty() ? "" : ", ") + name;
  return text + "  # " + others;
}

bool in_range(const WholeNumber& place) {
  return *place.value >= place.least && *place.value <= place.most;
}

bool in_range(const Number& place) {
  if (!std::isfinite(*place.value) || *place.value > place.most) return false;
  return place.above ? *place.value > place.least : *place.value >= place.least;
}

bool in_range(const bool*) {
  return true;
}

bool in_range(const Text& place) {
  return std::none_of(place.value->begin(), place.value->end(),
                      [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

bool in_range(const Choice&) {
  return true;
}

void check_train(const TrainConfig& train) {
  // A piece of a document is at most this long, and a micro-batch holds whole pieces.
  const int64_t longest = std::min(train.context, train.batch_tokens);
  DLCM_CHECK_INPUT(train.micro_tokens >= longest, "train.micro_tokens = ", train.micro_tokens,
                   ": expected at least the smaller of train.context and train.batch_tokens, ", longest);
}

void check_weights(const std::map<std::string, double>& weights) {
  double sum = 0;
  for (const auto& [domain, weight] : weights) {
    DLCM_CHECK_INPUT(std::isfinite(weight) && weight >= 0 && weight <= kLargestWeight, kWeightsTable, ".",
                     domain, " = ", weight, ": expected a number from 0 to ", kLargestWeight);
    sum += weight;
  }
  DLCM_CHECK_INPUT(weights.empty() || sum > 0, "[", kWeightsTable,
                   "]: every weight is 0; expected one above 0");
}

}  // namespace

std::string to_toml(const Config& config) {
  Config copy = config;  // the table of keys wants places it could write to
  std::string text;
  std::string table;
  for (const Key& key : config_keys(copy)) {
    if (!applies_to(key, copy.model.kind)) continue;
    if (key.table != table) text += (text.empty() ? "[" : "\n[") + key.table + "]\n";
    table = key.table;
    text +=
        key.name + " = " + std::visit([](const auto& place) { return toml_value(place); }, key.place) + "\n";
  }
  if (!config.data_weights.empty()) text += concat("\n[", kWeightsTable, "]\n");
  for (const auto& [domain, weight] : config.data_weights) {
    text += toml_key(domain) + " = " + toml_number(weight) + "\n";
  }
  return text;
}

std::vector<std::string> notes_of(const LoadedConfig& loaded) {
  std::vector<std::string> notes;
  for (const std::string& key : loaded.unused) {
    notes.push_back("note: " + key + " does not apply to this kind of model and is ignored");
  }
  return notes;
}

void check(const Config& config) {
  Config copy = config;
  DLCM_CHECK_INPUT(config.model.kind == ModelKind::dlcm || config.model.layers > 0,
                   "model.token.layers = ", config.model.layers,
                   ": a transformer needs its number of layers, at least 1");
  for (const Key& key : config_keys(copy)) {
    if (!applies_to(key, copy.model.kind)) continue;
    const std::string path = key.path();
    std::visit(
        [&](const auto& place) {
          DLCM_CHECK_INPUT(in_range(place), path, " = ", toml_value(place), ": expected ", key.allowed());
        },
        key.place);
  }
  check(config.model);
  check_train(config.train);
  check_weights(config.data_weights);
}

}  // namespace dlcm::apps
