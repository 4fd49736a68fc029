// Documents of text files, JSON Lines and folders of them, in blocks that any thread can take apart: memory
// grows neither with the input nor with a text file, but with the longest line of JSON Lines.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/json_line.h"

namespace dlcm::data {

class InputStream;

enum class InputFormat : uint8_t {
  // JSON Lines where the name, without .gz or .zst, ends in .jsonl or .ndjson, or in .json and the first line
  // is a whole object; else text.
  by_name,
  json_lines  // whatever the name
};

// Whole lines of a JSON Lines file, or a text file or a part of one.
struct InputBlock {
  std::string path;
  bool json = false;
  int64_t first = 0;  // the number of the first line, from 1; of a text, of its first byte, from 0
  // Of a text: whether its document begins and ends here.
  bool begins = true;
  bool ends = true;
  std::vector<char> buffer;  // the bytes, and JsonLineReader::kPadding more
  size_t size = 0;
  std::string_view bytes() const { return {buffer.data(), size}; }
};

// Takes blocks apart; one for each thread.
class BlockReader {
 public:
  // The documents of the block in order, of a text the part that it holds. Empty documents are left out, but
  // not empty parts; returns how many. Throws InputError that names the file, and the line or byte, where the
  // content is wrong. What `document` is given lasts for its call.
  int64_t read(const InputBlock& block, const std::function<void(std::string_view text)>& document);

 private:
  int64_t read_lines(const InputBlock& block, const std::function<void(std::string_view text)>& document);

  JsonLineReader lines_;
};

// The last place of a text, behind `from`, at which it may be cut, whatever follows it; 0 where there is
// none: Tokenizer::last_cut.
using TextCut = std::function<size_t(std::string_view text, size_t from)>;

// An input is a file, "-" for standard input, or a folder: all files below it in the order of their paths,
// except those whose name, or that of a folder on the way, begins with a dot. Files may be gzip or zstd. A
// text file is one document; a line of JSON Lines is an object with the document in its field `text`. Text
// must be UTF-8.
class DocumentSource {
 public:
  // Text files come in parts where there is a `cut`, else as a whole.
  explicit DocumentSource(const std::vector<std::string>& inputs, InputFormat format = InputFormat::by_name,
                          TextCut cut = nullptr);
  ~DocumentSource();
  DocumentSource(const DocumentSource&) = delete;
  DocumentSource& operator=(const DocumentSource&) = delete;

  // The next block; its memory is used again. False at the end. Throws InputError where a file is damaged, or
  // a text of which a part alone should be held has no place to cut in kMostUncutBytes.
  bool next_block(InputBlock& block);
  static constexpr size_t kMostUncutBytes = size_t{1} << 30;

  // In place of blocks: the next document that is not empty; false at the end.
  bool next(std::string& text);
  int64_t empty_documents() const { return empty_documents_; }  // that next() has skipped so far
  int64_t files() const { return files_; }                      // opened so far

 private:
  bool open_next_file();
  void start_block(InputBlock& block);
  bool fill(InputBlock& block);
  bool next_lines(InputBlock& block);
  bool next_part(InputBlock& block);
  void end_block(InputBlock& block, size_t size);

  std::vector<std::string> paths_;  // of files, in order
  InputFormat format_;
  TextCut cut_;
  size_t next_path_ = 0;
  std::string path_;  // of the open file
  std::unique_ptr<InputStream> stream_;
  bool json_ = false;
  bool begun_ = false;       // a part of the text was given
  std::vector<char> carry_;  // of the open file: read, and not given yet
  int64_t position_ = 0;     // of the next block: its line or byte
  int64_t empty_documents_ = 0;
  int64_t files_ = 0;

  InputBlock block_;  // for next()
  BlockReader reader_;
  std::deque<std::string> ready_;
};

// The files that `input` stands for. Throws InputError where there is nothing of that name or the folder
// holds no files.
std::vector<std::string> input_files(const std::string& input);

}  // namespace dlcm::data
