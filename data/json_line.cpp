#include "data/json_line.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include <simdjson.h>

#include "data/utf8.h"
#include "tensor/check.h"

namespace dlcm::data {
namespace {

static_assert(JsonLineReader::kPadding >= simdjson::SIMDJSON_PADDING);

// Messages are one line, whatever a file holds.
std::string one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < ' '; }, ' ');
  return text;
}

// nlohmann's messages begin with "[json.exception.parse_error.101] parse error at line 1, column 5: ", where
// the line is of what was parsed.
std::string short_reason(const nlohmann::json::exception& error) {
  std::string reason = error.what();
  const size_t mark = reason.find("] ");
  if (mark != std::string::npos) reason.erase(0, mark + 2);
  constexpr std::string_view kPlace = "parse error at line 1, ";
  if (reason.starts_with(kPlace)) reason.erase(0, kPlace.size());
  // It quotes what it has read of a string or number, which may be megabytes.
  constexpr size_t kMost = 200;
  const std::string_view shown = utf8_prefix(reason, kMost);
  return one_line(concat(shown, shown.size() < reason.size() ? "..." : ""));
}

// The names of an object's fields, the first few.
std::string field_names(const nlohmann::json& object) {
  constexpr size_t kShown = 5;
  constexpr size_t kShownBytes = 40;
  std::string names;
  size_t shown = 0;
  for (const auto& field : object.items()) {
    if (++shown > kShown) return one_line(names) + ", ...";
    names += concat(names.empty() ? "" : ", ", "'", utf8_prefix(field.key(), kShownBytes), "'");
  }
  return names.empty() ? "none" : one_line(names);
}

}  // namespace

struct JsonLineReader::Parser {
  simdjson::dom::parser parser;
};

JsonLineReader::JsonLineReader() : parser_(std::make_unique<Parser>()) {}
JsonLineReader::~JsonLineReader() = default;

const std::string_view* JsonLineReader::find_text(std::string_view line) {
  simdjson::dom::object object;
  // Also checks that all of the line is UTF-8.
  if (parser_->parser.parse(line.data(), line.size(), false).get(object) != simdjson::SUCCESS) return nullptr;
  bool found = false;
  for (const auto field : object) {
    if (field.key == "text") found = field.value.get(text_) == simdjson::SUCCESS;
  }
  return found ? &text_ : nullptr;
}

// By the library that says what is wrong and where. It also takes what the quick one does not: numbers of any
// size, and any depth.
std::string_view JsonLineReader::diagnose(std::string_view line, const std::string& place) {
  const size_t invalid = first_invalid_utf8(line);
  DLCM_CHECK_INPUT(invalid == line.size(), place, ": invalid UTF-8 at byte ", invalid,
                   " of the line: inputs are text in UTF-8, convert the file or leave it out");
  nlohmann::json object;
  try {
    object = nlohmann::json::parse(line);
  } catch (const nlohmann::json::exception& error) {
    throw InputError(
        concat(place, ": not JSON: ", short_reason(error), "; is the file whole? If not, copy it again"));
  }
  DLCM_CHECK_INPUT(object.is_object(), place, ": expected an object with a field 'text', found ",
                   object.type_name());
  const auto field = object.find("text");
  DLCM_CHECK_INPUT(field != object.end(), place,
                   ": the object has no field 'text'; its fields: ", field_names(object));
  DLCM_CHECK_INPUT(field->is_string(), place, ": the field 'text' is ", field->type_name(),
                   ", expected a string");
  kept_ = std::move(field->get_ref<std::string&>());
  return kept_;
}

bool is_json_object(std::string_view line) {
  return line.find_first_not_of(" \t") == line.find('{') && nlohmann::json::accept(line);
}

}  // namespace dlcm::data
