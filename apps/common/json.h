// JSON as the programs print it: objects of one line, built as text in the order of the calls. (The JSON
// library is behind it: its header takes the compiler seconds in each file.)
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dlcm::apps {

// Text in quotes; malformed UTF-8 is replaced by U+FFFD.
std::string json_text(std::string_view text);
std::string json_text(const char* text);
std::string json_text(bool value);
std::string json_text(int32_t value);
std::string json_text(int64_t value);
// In the shortest form that reads back to the same bits; null where it is not finite.
std::string json_text(double value);

// Of values that are JSON already.
std::string json_array(const std::vector<std::string>& values);

template <class T>
std::string json_text(const std::vector<T>& values) {
  std::vector<std::string> texts;
  for (const auto& value : values) texts.push_back(json_text(T(value)));
  return json_array(texts);
}

class JsonObject {
 public:
  template <class T>
  void add(std::string_view key, const T& value) {
    add_json(key, json_text(value));
  }
  void add_json(std::string_view key, const std::string& value);  // a value that is JSON already
  std::string text() const { return text_ + "}"; }

 private:
  std::string text_ = "{";
};

// The whole number at `key` of an object; nothing where the text is no object or has no such number.
std::optional<int64_t> json_whole_number(const std::string& object, const std::string& key);

}  // namespace dlcm::apps
