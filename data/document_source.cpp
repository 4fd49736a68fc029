#include "data/document_source.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <utility>

#include "data/input_stream.h"
#include "data/utf8.h"
#include "tensor/check.h"

namespace dlcm::data {
namespace {

namespace fs = std::filesystem;

constexpr size_t kBlockBytes = size_t{256} << 10;
constexpr size_t kLongestCharacter = 4;

std::string without_compression(std::string name) {
  for (const char* packed : {".gz", ".zst"}) {
    if (name.ends_with(packed)) name.resize(name.size() - std::strlen(packed));
  }
  return name;
}

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

// The first line that is not blank, without its end.
std::string first_line(InputStream& stream) {
  std::string line;
  std::vector<char> buffer(kBlockBytes);
  while (const size_t got = stream.read(buffer.data(), buffer.size())) {
    std::string_view bytes(buffer.data(), got);
    while (!bytes.empty()) {
      const size_t end = std::min(bytes.find('\n'), bytes.size());
      line += bytes.substr(0, end);
      if (end < bytes.size() && !is_blank(line)) return line;
      if (end < bytes.size()) line.clear();
      bytes.remove_prefix(std::min(end + 1, bytes.size()));
    }
  }
  return line;
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

DocumentSource::DocumentSource(const std::vector<std::string>& inputs, InputFormat format, TextCut cut)
    : format_(format), cut_(std::move(cut)) {
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
  carry_.clear();
  const std::string name = without_compression(path_);
  json_ = format_ == InputFormat::json_lines || name.ends_with(".jsonl") || name.ends_with(".ndjson");
  // The first line tells; then the file is read from its beginning.
  if (!json_ && name.ends_with(".json")) json_ = is_json_object(first_line(*open_input(path_)));
  begun_ = false;
  position_ = json_ ? 1 : 0;
  ++files_;
  return true;
}

// An empty block of the open file but for what was read already.
void DocumentSource::start_block(InputBlock& block) {
  block.path = path_;
  block.json = json_;
  block.first = position_;
  block.begins = !begun_;
  block.ends = true;
  block.size = carry_.size();
  block.buffer.resize(std::max(block.buffer.size(), block.size + JsonLineReader::kPadding));
  if (!carry_.empty()) std::memcpy(block.buffer.data(), carry_.data(), carry_.size());
  carry_.clear();
}

// Adds about as much as the block has, at least kBlockBytes; false at the end of the file.
bool DocumentSource::fill(InputBlock& block) {
  const size_t wanted = std::max(kBlockBytes, 2 * block.size);
  if (block.buffer.size() < wanted + JsonLineReader::kPadding) {
    block.buffer.resize(wanted + JsonLineReader::kPadding);
  }
  while (block.size < wanted) {
    const size_t got = stream_->read(block.buffer.data() + block.size, wanted - block.size);
    if (got == 0) return false;
    block.size += got;
  }
  return true;
}

// The block is its first `size` bytes; the others are kept for the next one.
void DocumentSource::end_block(InputBlock& block, size_t size) {
  carry_.assign(block.buffer.begin() + static_cast<std::ptrdiff_t>(size),
                block.buffer.begin() + static_cast<std::ptrdiff_t>(block.size));
  block.size = size;
}

bool DocumentSource::next_lines(InputBlock& block) {
  start_block(block);
  while (true) {
    const size_t searched = block.size;
    const bool more = fill(block);
    if (!more) {
      stream_.reset();
      return block.size > 0;
    }
    const size_t line_end = block.bytes().substr(searched).rfind('\n');
    if (line_end == std::string_view::npos) continue;
    end_block(block, searched + line_end + 1);
    const std::string_view lines = block.bytes();
    position_ += std::count(lines.begin(), lines.end(), '\n');
    return true;
  }
}

bool DocumentSource::next_part(InputBlock& block) {
  start_block(block);
  size_t searched = 0;
  while (fill(block)) {
    const size_t cut = cut_ ? cut_(block.bytes(), searched) : 0;
    if (cut > 0) {
      end_block(block, cut);
      block.ends = false;
      begun_ = true;
      position_ += static_cast<int64_t>(cut);
      return true;
    }
    // Characters may go on behind the end.
    searched = block.size - kLongestCharacter;
    DLCM_CHECK_INPUT(!cut_ || block.size < kMostUncutBytes, "'", path_, "': from byte ", block.first, " on ",
                     block.size,
                     " bytes of text hold no place at which the tokenizer may cut it, allowed are ",
                     kMostUncutBytes, ": break the text by spaces or lines, or give it as several documents");
  }
  stream_.reset();
  return true;
}

bool DocumentSource::next_block(InputBlock& block) {
  while (true) {
    if (stream_ == nullptr && !open_next_file()) return false;
    if (json_ ? next_lines(block) : next_part(block)) return true;
  }
}

bool DocumentSource::next(std::string& text) {
  DLCM_CHECK(!cut_, "DocumentSource::next: of a source that cuts texts");
  while (ready_.empty()) {
    if (!next_block(block_)) return false;
    empty_documents_ +=
        reader_.read(block_, [this](std::string_view document) { ready_.emplace_back(document); });
  }
  text = std::move(ready_.front());
  ready_.pop_front();
  return true;
}

int64_t BlockReader::read_lines(const InputBlock& block,
                                const std::function<void(std::string_view text)>& document) {
  int64_t empty = 0;
  int64_t number = block.first;
  std::string_view left = block.bytes();
  if (number == 1 && left.starts_with("\xEF\xBB\xBF")) left.remove_prefix(3);  // a byte order mark
  for (; !left.empty(); ++number) {
    const size_t end = std::min(left.find('\n'), left.size());
    const std::string_view line = left.substr(0, end);
    left.remove_prefix(std::min(end + 1, left.size()));
    if (is_blank(line)) continue;
    const auto place = [&] { return concat("'", block.path, "' line ", number); };
    const std::string_view text = lines_.text_of(line, place);
    if (text.empty()) {
      ++empty;
    } else {
      document(text);
    }
  }
  return empty;
}

int64_t BlockReader::read(const InputBlock& block,
                          const std::function<void(std::string_view text)>& document) {
  if (block.json) return read_lines(block, document);
  const std::string_view text = block.bytes();
  const size_t invalid = first_invalid_utf8(text);
  DLCM_CHECK_INPUT(invalid == text.size(), "'", block.path, "': invalid UTF-8 at byte ",
                   block.first + static_cast<int64_t>(invalid),
                   ": inputs are text in UTF-8, convert the file or leave it out");
  if (text.empty() && block.begins && block.ends) return 1;
  document(text);
  return 0;
}

}  // namespace dlcm::data
