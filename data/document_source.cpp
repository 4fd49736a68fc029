#include "data/document_source.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "data/input_stream.h"
#include "data/utf8.h"
#include "tensor/check.h"

namespace dlcm::data {
namespace {

namespace fs = std::filesystem;

constexpr size_t kBufferBytes = size_t{256} << 10;

std::string without_compression(std::string name) {
  for (const char* packed : {".gz", ".zst"}) {
    if (name.ends_with(packed)) name.resize(name.size() - std::strlen(packed));
  }
  return name;
}

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
  return one_line(reason);
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

// The field `text` of the object in a line.
std::string json_text(const std::string& line, const std::string& place) {
  nlohmann::json object;
  try {
    object = nlohmann::json::parse(line);
  } catch (const nlohmann::json::exception& error) {
    throw InputError(concat(place, ": not JSON: ", short_reason(error)));
  }
  DLCM_CHECK_INPUT(object.is_object(), place, ": expected an object with a field 'text', found ",
                   object.type_name());
  const auto field = object.find("text");
  DLCM_CHECK_INPUT(field != object.end(), place,
                   ": the object has no field 'text'; its fields: ", field_names(object));
  DLCM_CHECK_INPUT(field->is_string(), place, ": the field 'text' is ", field->type_name(),
                   ", expected a string");
  return std::move(field->get_ref<std::string&>());
}

bool is_blank(const std::string& line) {
  return line.find_first_not_of(" \t\r") == std::string::npos;
}

}  // namespace

std::vector<std::string> input_files(const std::string& input) {
  if (input == "-") return {input};
  std::error_code error;
  DLCM_CHECK_INPUT(fs::exists(input, error), "there is no file or folder '", input, "'");
  if (!fs::is_directory(input, error)) return {input};
  std::vector<std::string> files;
  fs::recursive_directory_iterator entry(input, error);
  DLCM_CHECK(!error, "cannot read the folder '", input, "': ", error.message());
  for (const fs::recursive_directory_iterator end; entry != end; entry.increment(error)) {
    DLCM_CHECK(!error, "cannot read the folder '", input, "': ", error.message());
    const bool hidden = entry->path().filename().string().starts_with(".");
    if (hidden) {
      entry.disable_recursion_pending();
    } else if (entry->is_regular_file()) {
      files.push_back(entry->path().string());
    }
  }
  DLCM_CHECK(!error, "cannot read the folder '", input, "': ", error.message());
  DLCM_CHECK_INPUT(!files.empty(), "the folder '", input,
                   "' holds no files (names that begin with a dot are left out)");
  std::sort(files.begin(), files.end());
  return files;
}

DocumentSource::DocumentSource(const std::vector<std::string>& inputs, InputFormat format) : format_(format) {
  for (const std::string& input : inputs) {
    const std::vector<std::string> files = input_files(input);
    paths_.insert(paths_.end(), files.begin(), files.end());
  }
}

DocumentSource::~DocumentSource() = default;

bool DocumentSource::open_next_file() {
  if (next_path_ == paths_.size()) return false;
  path_ = paths_[next_path_++];
  stream_ = open_input(path_);
  position_ = filled_ = 0;
  line_ = 0;
  const std::string name = without_compression(path_);
  json_ = format_ == InputFormat::json_lines || name.ends_with(".jsonl") || name.ends_with(".ndjson");
  if (!json_ && name.ends_with(".json")) {
    // The first line tells; then the file is read from its beginning.
    std::string line;
    while (is_blank(line) && next_line(line)) continue;
    json_ = line.find_first_not_of(" \t") == line.find('{') && nlohmann::json::accept(line);
    stream_ = open_input(path_);
    position_ = filled_ = 0;
    line_ = 0;
  }
  ++files_;
  return true;
}

// Up to the next line end, which is dropped; false at the end of the file.
bool DocumentSource::next_line(std::string& line) {
  line.clear();
  buffer_.resize(kBufferBytes);
  bool found_any = false;
  while (true) {
    if (position_ == filled_) {
      filled_ = stream_->read(buffer_.data(), buffer_.size());
      position_ = 0;
      if (filled_ == 0) break;
    }
    found_any = true;
    const char* begin = buffer_.data() + position_;
    const size_t left = filled_ - position_;
    const void* end = std::memchr(begin, '\n', left);
    const size_t taken = end == nullptr ? left : static_cast<size_t>(static_cast<const char*>(end) - begin);
    line.append(begin, taken);
    position_ += taken;
    if (end == nullptr) continue;
    ++position_;
    break;
  }
  if (found_any) ++line_;
  return found_any;
}

bool DocumentSource::next_json_document(std::string& text) {
  std::string line;
  while (next_line(line)) {
    if (line_ == 1 && line.starts_with("\xEF\xBB\xBF")) line.erase(0, 3);  // a byte order mark
    if (is_blank(line)) continue;
    const std::string place = concat("'", path_, "' line ", line_);
    const size_t invalid = first_invalid_utf8(line);
    DLCM_CHECK_INPUT(invalid == line.size(), place, ": invalid UTF-8 at byte ", invalid,
                     " of the line: inputs are text in UTF-8, convert the file or leave it out");
    text = json_text(line, place);
    if (!text.empty()) return true;
    ++empty_documents_;
  }
  return false;
}

void DocumentSource::read_text_file(std::string& text) {
  text.clear();
  while (true) {
    const size_t before = text.size();
    text.resize(before + kBufferBytes);
    const size_t got = stream_->read(text.data() + before, kBufferBytes);
    text.resize(before + got);
    if (got == 0) break;
  }
  const size_t invalid = first_invalid_utf8(text);
  DLCM_CHECK_INPUT(invalid == text.size(), "'", path_, "': invalid UTF-8 at byte ", invalid,
                   ": inputs are text in UTF-8, convert the file or leave it out");
}

bool DocumentSource::next(std::string& text) {
  while (true) {
    if (stream_ == nullptr && !open_next_file()) return false;
    if (json_) {
      if (next_json_document(text)) return true;
      stream_.reset();
      continue;
    }
    read_text_file(text);
    stream_.reset();
    if (!text.empty()) return true;
    ++empty_documents_;
  }
}

}  // namespace dlcm::data
