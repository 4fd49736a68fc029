#include "data/tokenizer.h"

#include <algorithm>
#include <filesystem>

#include "data/atomic_file.h"
#include "data/bpe/json_tokenizer.h"
#include "data/bpe/json_value.h"
#include "data/sha256.h"
#include "tensor/check.h"

namespace dlcm::data {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostFileBytes = size_t{512} << 20;  // as JsonTokenizer takes

}  // namespace

ByteTokenizer::ByteTokenizer() {
  for (int byte = 0; byte < 256; ++byte) bytes_ += static_cast<char>(byte);
}

std::string ByteTokenizer::identity() const {
  return "bytes sha256=" + sha256("bytes 257");
}

void ByteTokenizer::encode(std::string_view text, std::vector<int32_t>& ids) const {
  const size_t before = ids.size();
  ids.resize(before + text.size());
  std::transform(text.begin(), text.end(), ids.begin() + static_cast<std::ptrdiff_t>(before),
                 [](char c) { return static_cast<int32_t>(static_cast<unsigned char>(c)); });
}

size_t ByteTokenizer::last_cut(std::string_view text, size_t from) const {
  for (size_t at = text.size(); at-- > from + 1;) {
    if ((static_cast<unsigned char>(text[at]) & 0xC0) != 0x80) return at;
  }
  return 0;
}

std::string_view ByteTokenizer::decode(int32_t id) const {
  DLCM_CHECK_INPUT(id >= 0 && id < vocab_size(), "tokenizer 'bytes': id ", id, ", allowed are 0 to ",
                   vocab_size() - 1);
  if (id == begin_id()) return {};
  return std::string_view(bytes_).substr(static_cast<size_t>(id), 1);
}

std::unique_ptr<Tokenizer> load_tokenizer(const std::string& name_or_path) {
  if (name_or_path == "bytes") return std::make_unique<ByteTokenizer>();
  if (name_or_path.ends_with(".json")) return std::make_unique<JsonTokenizer>(name_or_path);
  throw InputError(
      concat("tokenizer '", name_or_path, "' is unknown; allowed: bytes, the path of a tokenizer.json"));
}

std::string full_identity(const std::string& stated, int64_t vocab_size) {
  const ByteTokenizer bytes;
  return stated == "bytes" && vocab_size == bytes.vocab_size() ? bytes.identity() : stated;
}

bool names_bytes(const std::string& identity) {
  return identity.substr(0, identity.find(' ')) == "bytes";
}

TokenizerCopies::TokenizerCopies(const std::string& name_or_path, const std::string& to_folder) {
  if (name_or_path == "bytes") return;
  const auto copy = [&](const std::string& from, const char* name) {
    files_.push_back(std::make_unique<AtomicFile>((fs::path(to_folder) / name).string()));
    const std::string bytes = read_file(from, kMostFileBytes);
    files_.back()->reserve(bytes.size());
    files_.back()->write(bytes);
    files_.back()->finish();
  };
  copy(name_or_path, kTokenizerFile);
  const std::string config = (fs::path(name_or_path).parent_path() / kTokenizerConfigFile).string();
  std::error_code error;
  if (fs::exists(config, error)) copy(config, kTokenizerConfigFile);
}

void TokenizerCopies::publish() {
  for (const auto& file : files_) file->publish(FolderSync::by_caller);
}

void copy_tokenizer(const std::string& name_or_path, const std::string& to_folder) {
  TokenizerCopies(name_or_path, to_folder).publish();
  sync_folder(to_folder);
}

std::vector<std::string> tokenizer_places(const std::string& shard_or_checkpoint) {
  std::error_code error;
  fs::path real = fs::canonical(shard_or_checkpoint, error);  // latest.h5 is a link
  if (error) real = shard_or_checkpoint;
  const fs::path folder = real.parent_path();
  return {(folder / kTokenizerFile).string(), (folder.parent_path() / kTokenizerFile).string()};
}

std::unique_ptr<Tokenizer> find_tokenizer(const std::string& identity, int64_t vocab_size,
                                          const std::vector<std::string>& places) {
  auto bytes = std::make_unique<ByteTokenizer>();
  if (vocab_size >= bytes->vocab_size() && full_identity(identity, vocab_size) == bytes->identity()) {
    return bytes;
  }
  for (const std::string& place : places) {
    std::error_code error;
    if (!fs::exists(place, error)) continue;
    auto tokenizer = std::make_unique<JsonTokenizer>(place);
    if (tokenizer->identity() == identity && tokenizer->vocab_size() <= vocab_size) return tokenizer;
  }
  return nullptr;
}

std::unique_ptr<Tokenizer> tokenizer_of_identity(const std::string& identity, int64_t vocab_size,
                                                 const std::vector<std::string>& places,
                                                 const std::string& file) {
  std::unique_ptr<Tokenizer> found = find_tokenizer(identity, vocab_size, places);
  std::string looked;
  for (const std::string& place : places) looked += concat(looked.empty() ? "'" : ", '", place, "'");
  DLCM_CHECK_INPUT(
      found != nullptr, "'", file, "': its tokenizer '", identity, "' with ", vocab_size,
      " ids is neither 'bytes' nor in ", looked.empty() ? "a file that was named" : looked,
      ": give the tokenizer.json by --tokenizer; train and evaluate need no text and take the file");
  return found;
}

}  // namespace dlcm::data
