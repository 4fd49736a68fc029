// Lines of JSON Lines: objects with a field `text`. The JSON libraries stay in the source.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace dlcm::data {

// Takes lines apart; keeps memory for the longest one, so one for each thread.
class JsonLineReader {
 public:
  static constexpr size_t kPadding = 64;  // bytes that must be readable behind a line, whatever they hold

  JsonLineReader();
  ~JsonLineReader();
  JsonLineReader(const JsonLineReader&) = delete;
  JsonLineReader& operator=(const JsonLineReader&) = delete;

  // The field `text` of the object in the line, of several the last; valid until the next call. Throws
  // InputError "PLACE: ..." where the line is not UTF-8, not JSON, or no object with a string `text`; `place`
  // is called for that alone.
  template <class Place>
  std::string_view text_of(std::string_view line, const Place& place) {
    if (const std::string_view* text = find_text(line)) return *text;
    return diagnose(line, place());
  }

 private:
  const std::string_view* find_text(std::string_view line);  // null where a closer look is needed
  std::string_view diagnose(std::string_view line, const std::string& place);

  struct Parser;
  std::unique_ptr<Parser> parser_;
  std::string_view text_;
  std::string kept_;  // what text_ is of where the closer look found it
};

// Whether the line is one whole JSON object.
bool is_json_object(std::string_view line);

}  // namespace dlcm::data
