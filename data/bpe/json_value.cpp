#include "data/bpe/json_value.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "data/positioned_file.h"
#include "data/utf8.h"
#include "tensor/check.h"

namespace dlcm::data {

JsonValue::JsonValue(simdjson::dom::element value, const JsonValue& parent, std::string_view step)
    : value_(value), place_(parent.place_), root_(false) {
  if (parent.root_) {
    place_ += ": ";
  } else if (!step.starts_with('[')) {
    place_ += '.';
  }
  place_ += shown(step);
}

const char* JsonValue::type_name() const {
  switch (value_.type()) {
    case simdjson::dom::element_type::ARRAY:
      return "array";
    case simdjson::dom::element_type::OBJECT:
      return "object";
    case simdjson::dom::element_type::STRING:
      return "string";
    case simdjson::dom::element_type::BOOL:
      return "boolean";
    case simdjson::dom::element_type::NULL_VALUE:
      return "null";
    default:
      return "number";
  }
}

std::string JsonValue::dump() const {
  return simdjson::minify(value_);
}

void JsonValue::expect(bool right, std::string_view expected) const {
  DLCM_CHECK_INPUT(right, place_, ": expected ", expected, ", found ", type_name());
}

simdjson::dom::object JsonValue::object() const {
  expect(is_object(), "an object");
  return value_.get_object().value_unsafe();
}

simdjson::dom::array JsonValue::array() const {
  expect(value_.is_array(), "an array");
  return value_.get_array().value_unsafe();
}

bool JsonValue::find(std::string_view key, simdjson::dom::element& found) const {
  bool any = false;
  for (const auto field : object()) {
    if (field.key != key) continue;
    found = field.value;
    any = true;
  }
  return any;
}

bool JsonValue::has(std::string_view key) const {
  simdjson::dom::element found;
  return find(key, found) && !found.is_null();
}

bool JsonValue::contains(std::string_view key) const {
  simdjson::dom::element found;
  return find(key, found);
}

JsonValue JsonValue::operator[](std::string_view key) const {
  simdjson::dom::element found;
  DLCM_CHECK_INPUT(find(key, found), place_, ": the field '", shown(key), "' is missing");
  return {found, *this, key};
}

// Counted, as simdjson's own count ends at 2^24 - 1.
size_t JsonValue::size() const {
  const simdjson::dom::array elements = array();
  return static_cast<size_t>(std::distance(elements.begin(), elements.end()));
}

JsonElements JsonValue::elements() const {
  return JsonElements(*this);
}

std::unordered_map<std::string_view, JsonValue> JsonValue::fields() const {
  std::unordered_map<std::string_view, JsonValue> fields;
  for (const auto field : object()) {
    fields.insert_or_assign(field.key, JsonValue(field.value, *this, field.key));
  }
  return fields;
}

JsonValue JsonElements::Iterator::operator*() const {
  return {*at_, of_->parent_, "[" + std::to_string(index_) + "]"};
}

JsonElements::Iterator& JsonElements::Iterator::operator++() {
  ++at_;
  ++index_;
  return *this;
}

JsonValue JsonValue::element(size_t i) const {
  const auto found = array().at(i);
  DLCM_CHECK_INPUT(found.error() == simdjson::SUCCESS, place_, ": element ", i, " is missing");
  return {found.value_unsafe(), *this, concat("[", i, "]")};
}

std::string_view JsonValue::string() const {
  expect(value_.is_string(), "a string");
  return value_.get_string().value_unsafe();
}

bool JsonValue::boolean() const {
  expect(value_.is_bool(), "true or false");
  return value_.get_bool().value_unsafe();
}

bool JsonValue::boolean_or(std::string_view key, bool otherwise) const {
  return has(key) ? (*this)[key].boolean() : otherwise;
}

int64_t JsonValue::integer(int64_t least, int64_t most) const {
  const bool whole = value_.type() == simdjson::dom::element_type::INT64 ||
                     value_.type() == simdjson::dom::element_type::UINT64;
  expect(whole, "a whole number");
  const auto found = value_.get_int64();  // fails above 2^63
  const bool allowed =
      found.error() == simdjson::SUCCESS && found.value_unsafe() >= least && found.value_unsafe() <= most;
  DLCM_CHECK_INPUT(allowed, place_, ": found ", dump(), ", allowed are ", least, " to ", most);
  return found.value_unsafe();
}

double JsonValue::number() const {
  const auto found = value_.get_double();  // of whole numbers too
  expect(found.error() == simdjson::SUCCESS, "a number");
  return found.value_unsafe();
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

namespace {

constexpr int kMostLevels = simdjson::DEFAULT_MAX_DEPTH;

[[noreturn]] void refuse_depth(const std::string& path) {
  throw InputError(concat("'", path, "': values are nested in more than ", kMostLevels,
                          " levels, which no such file needs: it is damaged, copy it again"));
}

// What is wrong, by the library that says it well; where nothing is, the same without what simdjson does not
// take: whole numbers of more than 64 bits (as of model_max_length in many a tokenizer_config.json) become
// others. Writing recurses, so that depth is limited here too.
std::string diagnosed(const std::string& path, const std::string& bytes) {
  const auto limit_depth = [&](int depth, nlohmann::json::parse_event_t, const nlohmann::json&) {
    if (depth > kMostLevels) refuse_depth(path);
    return true;
  };
  const size_t invalid = first_invalid_utf8(bytes);  // which the library would quote
  DLCM_CHECK_INPUT(invalid == bytes.size(), "'", path, "': not JSON: invalid UTF-8 at byte ", invalid,
                   "; is the file whole? If not, copy it again");
  const size_t zero = bytes.find('\0');  // the library would take it for the end
  DLCM_CHECK_INPUT(zero == std::string::npos, "'", path, "': not JSON: byte ", zero,
                   " is zero; is the file whole? If not, copy it again");
  try {
    return nlohmann::json::parse(bytes, limit_depth).dump();
  } catch (const nlohmann::json::exception& error) {
    constexpr size_t kMost = 200;
    std::string reason = error.what();
    const size_t mark = reason.find("] ");
    if (mark != std::string::npos) reason.erase(0, mark + 2);
    std::replace_if(
        reason.begin(), reason.end(), [](unsigned char c) { return c < ' '; }, ' ');
    throw InputError(concat("'", path, "': not JSON: ", utf8_prefix(reason, kMost),
                            "; is the file whole? If not, copy it again"));
  }
}

}  // namespace

JsonDocument::JsonDocument(const std::string& path, const std::string& bytes) : path_(path) {
  auto error = parser_.parse(bytes).error();
  if (error == simdjson::SUCCESS) return;
  if (error == simdjson::DEPTH_ERROR) refuse_depth(path);
  error = parser_.parse(diagnosed(path, bytes)).error();
  DLCM_CHECK_INPUT(error == simdjson::SUCCESS, "'", path,
                   "': not JSON that can be read: ", simdjson::error_message(error));
}

std::string read_file(const std::string& path, size_t most_bytes) {
  const PositionedFile file(path);
  DLCM_CHECK_INPUT(file.bytes() > 0, "'", path, "' is empty: copy the file again");
  DLCM_CHECK_INPUT(file.bytes() <= most_bytes, "'", path, "': ", file.bytes(), " bytes, expected at most ",
                   most_bytes);
  return file.text(0, file.bytes());
}

}  // namespace dlcm::data
