// Documents of text files, JSON Lines and folders of them, one at a time: memory does not grow with the
// input.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace dlcm::data {

class InputStream;

enum class InputFormat : uint8_t {
  // JSON Lines where the name, without .gz or .zst, ends in .jsonl or .ndjson, or in .json and the first line
  // is a
  // whole object; else text.
  by_name,
  json_lines  // whatever the name
};

// An input is a file, "-" for standard input, or a folder: all files below it in the order of their paths,
// except those whose name, or that of a folder on the way, begins with a dot. Files may be gzip or zstd. A
// text file is one document; a line of JSON Lines is an object with the document in its field `text`. Text
// must be UTF-8.
class DocumentSource {
 public:
  explicit DocumentSource(const std::vector<std::string>& inputs, InputFormat format = InputFormat::by_name);
  ~DocumentSource();
  DocumentSource(const DocumentSource&) = delete;
  DocumentSource& operator=(const DocumentSource&) = delete;

  // The next document that is not empty; false at the end. Throws InputError that names the file, and the
  // line or byte, where the content is wrong.
  bool next(std::string& text);
  int64_t empty_documents() const { return empty_documents_; }  // skipped so far
  int64_t files() const { return files_; }                      // opened so far

 private:
  bool open_next_file();
  bool next_line(std::string& line);
  bool next_json_document(std::string& text);
  void read_text_file(std::string& text);

  std::vector<std::string> paths_;  // of files, in order
  InputFormat format_;
  size_t next_path_ = 0;
  std::string path_;  // of the open file
  std::unique_ptr<InputStream> stream_;
  bool json_ = false;
  std::vector<char> buffer_;  // of the open file: [position_, filled_) is not used yet
  size_t position_ = 0;
  size_t filled_ = 0;
  int64_t line_ = 0;
  int64_t empty_documents_ = 0;
  int64_t files_ = 0;
};

// The files that `input` stands for. Throws InputError where there is nothing of that name or the folder
// holds no files.
std::vector<std::string> input_files(const std::string& input);

}  // namespace dlcm::data
