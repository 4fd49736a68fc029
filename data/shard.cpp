#include "data/shard.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <limits>

#include "data/crc32.h"
#include "data/numbered_name.h"
#include "data/tokenizer.h"
#include "tensor/check.h"

namespace dlcm::data {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kTokenChunk = 65536;
constexpr int64_t kDocumentChunk = 8192;
constexpr int64_t kFlushesOfWriteBack = 16;
constexpr uint64_t kMaxDocumentBytes = uint64_t{1} << 48;
constexpr int64_t kMaxVocabulary = std::numeric_limits<int32_t>::max();

ShardHeader read_header(const Hdf5Reader& file) {
  file.require_format("a token shard", kShardFormat, kShardVersion);
  ShardHeader header;
  header.vocab_size = file.integer_attribute("vocab_size");
  DLCM_CHECK_INPUT(header.vocab_size >= 1 && header.vocab_size <= kMaxVocabulary, "'", file.path(),
                   "': attribute 'vocab_size' is ", header.vocab_size, ", expected 1 to ", kMaxVocabulary);
  header.tokenizer = full_identity(file.text_attribute("tokenizer"), header.vocab_size);
  if (file.has_attribute("source")) header.source = file.text_attribute("source");
  return header;
}

std::vector<uint64_t> read_offsets(const Hdf5Reader& file, int64_t tokens) {
  const int64_t count = file.require_dataset("/doc_offsets", 1, {ElementType::u64, ElementType::i64}).count;
  const std::string place = concat("'", file.path(), "': dataset '/doc_offsets'");
  DLCM_CHECK_INPUT(count >= 1, place, " is empty, expected documents + 1 offsets");
  std::vector<uint64_t> offsets(static_cast<size_t>(count));
  file.read("/doc_offsets", offsets.data());
  DLCM_CHECK_INPUT(offsets[0] == 0, place, " begins with ", offsets[0], ", expected 0");
  for (size_t i = 1; i < offsets.size(); ++i) {
    DLCM_CHECK_INPUT(offsets[i] > offsets[i - 1], place, " does not increase: [", i, "] is ", offsets[i],
                     " after ", offsets[i - 1]);
  }
  DLCM_CHECK_INPUT(offsets.back() == static_cast<uint64_t>(tokens), place, " ends with ", offsets.back(),
                   ", dataset '/tokens' has ", tokens, " tokens");
  return offsets;
}

fs::directory_iterator entries_of(const std::string& folder) {
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  DLCM_CHECK(!error, "cannot read the folder '", folder, "': ", error.message());
  return entries;
}

void require_complete(const std::string& folder) {
  DLCM_CHECK_INPUT(
      !is_incomplete(folder), "'", folder, "' holds the mark '", kIncompleteMark,
      "': tokenize was stopped while it named the shards, and some may be missing or of an earlier "
      "run: tokenize again with --overwrite");
}

template <class T>
uint32_t extended_crc(uint32_t crc, const std::vector<T>& values) {
  return extended_crc32(crc, values.data(), values.size() * sizeof(T));
}

std::string content_text(uint32_t tokens_crc, uint32_t offsets_crc) {
  char text[64];
  std::snprintf(text, sizeof(text), "crc32 tokens=%08x doc_offsets=%08x", tokens_crc, offsets_crc);
  return text;
}

}  // namespace

ShardWriter::ShardWriter(const std::string& path, const ShardHeader& header)
    : path_(path), vocab_size_(header.vocab_size), wide_(header.vocab_size > 65536), writer_(path) {
  DLCM_CHECK(vocab_size_ >= 1 && vocab_size_ <= kMaxVocabulary, "shard '", path, "': vocab_size ",
             vocab_size_);
  writer_.attribute("format", std::string(kShardFormat));
  writer_.attribute("version", kShardVersion);
  writer_.attribute("vocab_size", vocab_size_);
  writer_.attribute("tokenizer", header.tokenizer);
  writer_.attribute("source", header.source);
  writer_.growing_dataset("/tokens", wide_ ? ElementType::u32 : ElementType::u16, kTokenChunk);
  writer_.growing_dataset("/doc_offsets", ElementType::u64, kDocumentChunk);
  writer_.growing_dataset("/doc_bytes", ElementType::u64, kDocumentChunk);
  offset_buffer_.push_back(0);
}

void ShardWriter::add(std::span<const int32_t> tokens, int64_t bytes) {
  add_part(tokens);
  end_document(bytes);
}

void ShardWriter::check_tokens(std::span<const int32_t> tokens) const {
  uint32_t highest = 0;  // of the ids as unsigned numbers: negative ones are higher than any
  for (const int32_t token : tokens) highest = std::max(highest, static_cast<uint32_t>(token));
  DLCM_CHECK(tokens.empty() || highest < static_cast<uint64_t>(vocab_size_), "shard '", path_, "': token ",
             static_cast<int32_t>(highest), " is outside the vocabulary of ", vocab_size_);
}

void ShardWriter::add_part(std::span<const int32_t> tokens) {
  check_tokens(tokens);
  tokens_ += static_cast<int64_t>(tokens.size());
  while (!tokens.empty()) {
    const size_t taken = std::min(tokens.size(), static_cast<size_t>(kTokenChunk) - token_buffer_.size());
    token_buffer_.insert(token_buffer_.end(), tokens.begin(), tokens.begin() + static_cast<long>(taken));
    tokens = tokens.subspan(taken);
    if (static_cast<int64_t>(token_buffer_.size()) == kTokenChunk) flush_tokens();
  }
}

void ShardWriter::end_document(int64_t bytes) {
  DLCM_CHECK(static_cast<uint64_t>(tokens_) > last_offset_, "shard '", path_, "': a document without tokens");
  DLCM_CHECK(bytes >= 0, "shard '", path_, "': a document of ", bytes, " bytes");
  last_offset_ = static_cast<uint64_t>(tokens_);
  ++documents_;
  offset_buffer_.push_back(static_cast<uint64_t>(tokens_));
  bytes_buffer_.push_back(static_cast<uint64_t>(bytes));
  if (static_cast<int64_t>(bytes_buffer_.size()) == kDocumentChunk) flush_documents();
}

void ShardWriter::flush_tokens() {
  if (token_buffer_.empty()) return;
  tokens_crc_ = extended_crc(tokens_crc_, token_buffer_);
  writer_.append("/tokens", token_buffer_.data(), static_cast<int64_t>(token_buffer_.size()));
  token_buffer_.clear();
  if (++flushes_ % kFlushesOfWriteBack == 0) writer_.start_write_back();
}

void ShardWriter::flush_documents() {
  offsets_crc_ = extended_crc(offsets_crc_, offset_buffer_);
  writer_.append("/doc_offsets", offset_buffer_.data(), static_cast<int64_t>(offset_buffer_.size()));
  writer_.append("/doc_bytes", bytes_buffer_.data(), static_cast<int64_t>(bytes_buffer_.size()));
  offset_buffer_.clear();
  bytes_buffer_.clear();
}

void ShardWriter::finish() {
  flush_tokens();
  flush_documents();
  writer_.attribute("content", content_text(tokens_crc_, offsets_crc_));
  writer_.finish();
  // There may be thousands of shards that wait for their names.
  token_buffer_ = {};
  offset_buffer_ = {};
  bytes_buffer_ = {};
}

void ShardWriter::publish(FolderSync sync) {
  writer_.publish(sync);
}

ShardReader::ShardReader(const std::string& path) : file_(path), header_(read_header(file_)) {
  const int64_t tokens = file_.require_dataset("/tokens", 1, {ElementType::u16, ElementType::u32}).count;
  offsets_ = read_offsets(file_, tokens);
  const int64_t expected = static_cast<int64_t>(offsets_.size()) - 1;
  const int64_t found = file_.require_dataset("/doc_bytes", 1, {ElementType::u64, ElementType::i64}).count;
  DLCM_CHECK_INPUT(found == expected, "'", path, "': dataset '/doc_bytes' has ", found,
                   " elements, expected ", expected, ", one a document");
  doc_bytes_.resize(static_cast<size_t>(found));
  file_.read("/doc_bytes", doc_bytes_.data());
  for (const uint64_t bytes : doc_bytes_) {
    DLCM_CHECK_INPUT(bytes <= kMaxDocumentBytes, "'", path, "': dataset '/doc_bytes' holds ", bytes,
                     ", expected at most ", kMaxDocumentBytes);
  }
  if (file_.sealed() && file_.has_attribute("content")) stored_content_ = file_.text_attribute("content");
}

int64_t ShardReader::document_tokens(int64_t document) const {
  DLCM_CHECK(document >= 0 && document < documents(), "'", path(), "': document ", document, " of ",
             documents());
  const auto i = static_cast<size_t>(document);
  return static_cast<int64_t>(offsets_[i + 1] - offsets_[i]);
}

int64_t ShardReader::document_bytes(int64_t document) const {
  DLCM_CHECK(document >= 0 && document < documents(), "'", path(), "': document ", document, " of ",
             documents());
  return static_cast<int64_t>(doc_bytes_[static_cast<size_t>(document)]);
}

void ShardReader::read_tokens(int64_t first, int64_t count, int32_t* out) const {
  file_.read_range("/tokens", first, count, out);
  for (int64_t i = 0; i < count; ++i) {
    DLCM_CHECK_INPUT(out[i] >= 0 && out[i] < header_.vocab_size, "'", path(), "': dataset '/tokens': [",
                     first + i, "] is ", out[i], ", vocab_size is ", header_.vocab_size);
  }
}

std::vector<int32_t> ShardReader::read(int64_t document, int64_t begin, int64_t end) const {
  const int64_t length = document_tokens(document);
  DLCM_CHECK(begin >= 0 && begin <= end && end <= length, "'", path(), "': tokens ", begin, " to ", end,
             " of document ", document, ", which has ", length);
  std::vector<int32_t> tokens(static_cast<size_t>(end - begin));
  const auto first = static_cast<int64_t>(offsets_[static_cast<size_t>(document)]);
  read_tokens(first + begin, end - begin, tokens.data());
  return tokens;
}

std::string ShardReader::computed_content() const {
  uint32_t tokens_crc = 0;
  std::vector<int32_t> buffer;
  for (int64_t first = 0; first < tokens(); first += kTokenChunk) {
    buffer.resize(static_cast<size_t>(std::min(kTokenChunk, tokens() - first)));
    read_tokens(first, static_cast<int64_t>(buffer.size()), buffer.data());
    tokens_crc = extended_crc(tokens_crc, buffer);
  }
  return content_text(tokens_crc, extended_crc(0, offsets_));
}

void ShardReader::verify() const {
  const std::string computed = computed_content();
  DLCM_CHECK_INPUT(stored_content_.empty() || stored_content_ == computed, "'", path(),
                   "': attribute 'content' is '", stored_content_, "', but the tokens give '", computed,
                   "': make the shard again");
}

std::string ShardReader::content() const {
  return stored_content_.empty() ? computed_content() : stored_content_;
}

bool is_incomplete(const std::string& folder) {
  std::error_code error;
  return fs::exists(fs::symlink_status(fs::path(folder) / kIncompleteMark, error));
}

std::vector<std::string> shard_paths(const std::string& folder, const std::string& kind) {
  std::vector<std::string> paths;
  for (const fs::directory_entry& entry : entries_of(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(kind + "-") && name.ends_with(".h5")) paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end(), numbered_before);
  return paths;
}

std::vector<ShardDomain> shard_domains(const std::string& folder, const std::string& kind) {
  std::error_code error;
  DLCM_CHECK_INPUT(fs::exists(folder, error), "there is no folder '", folder,
                   "', expected one with shards (tokenize --output)");
  DLCM_CHECK_INPUT(fs::is_directory(folder, error), "'", folder,
                   "' is not a folder, expected one with shards (tokenize --output)");
  require_complete(folder);
  std::vector<ShardDomain> domains;
  for (const fs::directory_entry& entry : entries_of(folder)) {
    if (!entry.is_directory()) continue;
    require_complete(entry.path().string());
    ShardDomain domain{entry.path().filename().string(), shard_paths(entry.path().string(), kind)};
    if (!domain.paths.empty()) domains.push_back(std::move(domain));
  }
  std::sort(domains.begin(), domains.end(),
            [](const ShardDomain& a, const ShardDomain& b) { return a.name < b.name; });
  ShardDomain plain{"", shard_paths(folder, kind)};
  if (plain.paths.empty()) return domains;
  DLCM_CHECK_INPUT(domains.empty(), "'", folder, "' holds ", kind, " shards both itself and in the domain '",
                   domains.empty() ? "" : domains[0].name, "': move or remove one of them");
  domains.push_back(std::move(plain));
  return domains;
}

void require_same_vocabulary(const ShardReader& first, const ShardReader& other) {
  constexpr char kRemedy[] = ": tokenize all of them with the same tokenizer";
  DLCM_CHECK_INPUT(first.header().vocab_size == other.header().vocab_size, "'", other.path(),
                   "': vocab_size is ", other.header().vocab_size, ", but '", first.path(), "' has ",
                   first.header().vocab_size, kRemedy);
  DLCM_CHECK_INPUT(first.header().tokenizer == other.header().tokenizer, "'", other.path(),
                   "': tokenizer is '", other.header().tokenizer, "', but '", first.path(), "' has '",
                   first.header().tokenizer, "'", kRemedy);
}

}  // namespace dlcm::data
