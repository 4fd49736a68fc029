// Reading a JSON file whose every mistake ends in one InputError that says where it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace dlcm::data {

// A value and where it stands: "'my/tokenizer.json': model.merges[3]".
class JsonValue {
 public:
  JsonValue(const nlohmann::json& value, const std::string& file) : value_(&value), place_(file) {}

  const std::string& place() const { return place_; }
  const nlohmann::json& value() const { return *value_; }
  bool is_null() const { return value_->is_null(); }
  bool has(const char* key) const;              // and it is not null
  JsonValue operator[](const char* key) const;  // which must be there
  JsonValue element(size_t i) const;
  size_t size() const;  // of an array

  const std::string& string() const;
  bool boolean() const;
  int64_t integer(int64_t least, int64_t most) const;
  bool boolean_or(const char* key, bool otherwise) const;
  // The field `type`.
  const std::string& type() const { return (*this)["type"].string(); }

  [[noreturn]] void refuse(std::string_view what) const;
  // "is 'x', supported: a, b"
  [[noreturn]] void refuse_name(std::string_view found,
                                std::initializer_list<std::string_view> supported) const;

 private:
  JsonValue(const nlohmann::json& value, const JsonValue& parent, const std::string& step);
  void expect(bool right, std::string_view expected) const;

  const nlohmann::json* value_;
  std::string place_;
  bool root_ = true;
};

// `text` may show up in a message: short and in one line.
std::string shown(std::string_view text);

// The content of a file that must be JSON, and at most `most_bytes` long.
nlohmann::json read_json(const std::string& path, const std::string& bytes);
std::string read_file(const std::string& path, size_t most_bytes);

}  // namespace dlcm::data
