#include "data/json_events.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "data/utf8.h"
#include "tensor/check.h"

namespace dlcm::data {
namespace {

using nlohmann::json;

std::string one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; }, ' ');
  return text;
}

// nlohmann's messages begin with "[json.exception.parse_error.101] " and may quote all of a long string,
// whose bytes may be anything.
std::string short_reason(const json::exception& error) {
  constexpr size_t kShownBytes = 200;
  std::string reason = error.what();
  const size_t mark = reason.find("] ");
  if (mark != std::string::npos) reason.erase(0, mark + 2);
  reason.resize(std::min(reason.size(), kShownBytes));
  std::replace_if(
      reason.begin(), reason.end(), [](unsigned char c) { return c < ' ' || c >= 0x7f; }, '?');
  return reason;
}

// Passes nlohmann's events on.
class Events final : public json::json_sax_t {
 public:
  Events(const std::string& place, JsonHandler& handler) : place_(place), handler_(handler) {}

  bool null() override { return other("null"); }
  bool boolean(bool) override { return other("a boolean"); }
  bool number_integer(json::number_integer_t) override { return other("a negative number"); }
  bool number_unsigned(json::number_unsigned_t value) override {
    handler_.whole_number(value);
    return true;
  }
  // Also a whole number of more than 64 bits.
  bool number_float(json::number_float_t, const json::string_t&) override {
    return other("a number that is not whole or too large");
  }
  bool string(json::string_t& value) override {
    handler_.text(value);
    return true;
  }
  bool binary(json::binary_t&) override { return other("binary"); }
  bool start_object(size_t) override {
    handler_.object_begins();
    return true;
  }
  bool key(json::string_t& name) override {
    handler_.key(name);
    return true;
  }
  bool end_object() override {
    handler_.object_ends();
    return true;
  }
  bool start_array(size_t) override {
    handler_.array_begins();
    return true;
  }
  bool end_array() override {
    handler_.array_ends();
    return true;
  }
  bool parse_error(size_t, const std::string&, const json::exception& error) override {
    throw InputError(concat(place_, " is not JSON: ", short_reason(error)));
  }

 private:
  bool other(const char* kind) {
    handler_.other(kind);
    return true;
  }

  const std::string& place_;
  JsonHandler& handler_;
};

}  // namespace

void read_json(std::string_view text, const std::string& place, JsonHandler& handler) {
  // The library takes a zero for the end, and would not see what follows it.
  const size_t zero = text.find('\0');
  DLCM_CHECK_INPUT(zero == std::string_view::npos, place, " is not JSON: byte ", zero, " is zero");
  Events events(place, handler);
  json::sax_parse(text.begin(), text.end(), &events);
}

std::string shown_name(std::string_view name) {
  constexpr size_t kShownBytes = 100;
  const std::string_view start = utf8_prefix(name, kShownBytes);
  return concat("'", one_line(std::string(start)), start.size() < name.size() ? "..." : "", "'");
}

std::string json_string(const std::string& text) {
  const size_t invalid = first_invalid_utf8(text);
  DLCM_CHECK(invalid == text.size(), shown_name(text), " is not UTF-8 at byte ", invalid);
  return json(text).dump();
}

}  // namespace dlcm::data
