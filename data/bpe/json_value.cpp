#include "data/bpe/json_value.h"

#include <algorithm>
#include <fstream>

#include "data/utf8.h"
#include "tensor/check.h"

namespace dlcm::data {

JsonValue::JsonValue(const nlohmann::json& value, const JsonValue& parent, const std::string& step)
    : value_(&value), place_(parent.place_), root_(false) {
  if (parent.root_) {
    place_ += ": ";
  } else if (step[0] != '[') {
    place_ += '.';
  }
  place_ += step;
}

void JsonValue::expect(bool right, std::string_view expected) const {
  DLCM_CHECK_INPUT(right, place_, ": expected ", expected, ", found ", value_->type_name());
}

bool JsonValue::has(const char* key) const {
  expect(value_->is_object(), "an object");
  const auto found = value_->find(key);
  return found != value_->end() && !found->is_null();
}

JsonValue JsonValue::operator[](const char* key) const {
  expect(value_->is_object(), "an object");
  const auto found = value_->find(key);
  DLCM_CHECK_INPUT(found != value_->end(), place_, ": the field '", key, "' is missing");
  return {*found, *this, key};
}

size_t JsonValue::size() const {
  expect(value_->is_array(), "an array");
  return value_->size();
}

JsonValue JsonValue::element(size_t i) const {
  DLCM_CHECK_INPUT(i < size(), place_, ": element ", i, " is missing");
  return {(*value_)[i], *this, concat("[", i, "]")};
}

const std::string& JsonValue::string() const {
  expect(value_->is_string(), "a string");
  return value_->get_ref<const std::string&>();
}

bool JsonValue::boolean() const {
  expect(value_->is_boolean(), "true or false");
  return value_->get<bool>();
}

bool JsonValue::boolean_or(const char* key, bool otherwise) const {
  return has(key) ? (*this)[key].boolean() : otherwise;
}

int64_t JsonValue::integer(int64_t least, int64_t most) const {
  expect(value_->is_number_integer(), "a whole number");
  const bool small = !value_->is_number_unsigned() || value_->get<uint64_t>() <= static_cast<uint64_t>(most);
  DLCM_CHECK_INPUT(small && value_->get<int64_t>() >= least && value_->get<int64_t>() <= most, place_,
                   ": found ", value_->dump(), ", allowed are ", least, " to ", most);
  return value_->get<int64_t>();
}

void JsonValue::refuse(std::string_view what) const {
  throw InputError(concat(place_, ": ", what));
}

void JsonValue::refuse_name(std::string_view found, std::initializer_list<std::string_view> supported) const {
  std::string names;
  for (const std::string_view name : supported) names += concat(names.empty() ? "" : ", ", name);
  refuse(concat("'", shown(found), "' is not supported; supported: ", names));
}

std::string shown(std::string_view text) {
  constexpr size_t kMost = 60;
  std::string result(utf8_prefix(text, kMost));
  std::replace_if(
      result.begin(), result.end(), [](unsigned char c) { return c < ' '; }, ' ');
  return result.size() < text.size() ? result + "..." : result;
}

nlohmann::json read_json(const std::string& path, const std::string& bytes) {
  try {
    return nlohmann::json::parse(bytes);
  } catch (const nlohmann::json::exception& error) {
    constexpr size_t kMost = 200;
    std::string reason = error.what();
    const size_t mark = reason.find("] ");
    if (mark != std::string::npos) reason.erase(0, mark + 2);
    std::replace_if(
        reason.begin(), reason.end(), [](unsigned char c) { return c < ' '; }, ' ');
    throw InputError(concat("'", path, "': not JSON: ", utf8_prefix(reason, kMost)));
  }
}

std::string read_file(const std::string& path, size_t most_bytes) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes;
  DLCM_CHECK_INPUT(file.is_open() && file.peek() != std::ifstream::traits_type::eof(), "'", path,
                   "': there is no such file, or it is empty");
  file.seekg(0, std::ios::end);
  const auto size = static_cast<std::streamoff>(file.tellg());
  DLCM_CHECK_INPUT(size >= 0 && static_cast<size_t>(size) <= most_bytes, "'", path, "': ", size,
                   " bytes, expected at most ", most_bytes);
  bytes.resize(static_cast<size_t>(size));
  file.seekg(0);
  file.read(bytes.data(), size);
  DLCM_CHECK(file.gcount() == size, "'", path, "': cannot be read");
  return bytes;
}

}  // namespace dlcm::data
