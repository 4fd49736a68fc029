// JSON of files that others made, as a sequence of events. Nothing is kept of it, so that a hostile file
// takes no more memory than the handler keeps, however deep or long it is. The JSON library stays in the
// source.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace dlcm::data {

// What comes, in the order of the text. A handler throws at what it does not expect; equal keys in an object
// are for it to find.
class JsonHandler {
 public:
  virtual ~JsonHandler() = default;
  virtual void object_begins() = 0;
  virtual void object_ends() = 0;
  virtual void array_begins() = 0;
  virtual void array_ends() = 0;
  virtual void key(const std::string& name) = 0;  // of an object; its value follows
  virtual void text(const std::string& value) = 0;
  virtual void whole_number(uint64_t value) = 0;
  // Any other value; `kind` in words: "null", "a negative number".
  virtual void other(const char* kind) = 0;
};

// Throws InputError "PLACE is not JSON: REASON", and what the handler throws.
void read_json(std::string_view text, const std::string& place, JsonHandler& handler);

// A name from a file for a message: in quotes, in one line, cut where it is long.
std::string shown_name(std::string_view name);

// Text in quotes. Throws Error where it is not UTF-8.
std::string json_string(const std::string& text);

}  // namespace dlcm::data
