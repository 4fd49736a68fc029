#include "data/tokenizer.h"

#include "data/bpe/json_tokenizer.h"
#include "data/sha256.h"
#include "tensor/check.h"

namespace dlcm::data {

ByteTokenizer::ByteTokenizer() {
  for (int byte = 0; byte < 256; ++byte) bytes_ += static_cast<char>(byte);
}

std::string ByteTokenizer::identity() const {
  return "bytes sha256=" + sha256("bytes 257");
}

void ByteTokenizer::encode(std::string_view text, std::vector<int32_t>& ids) const {
  ids.reserve(ids.size() + text.size());
  for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
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

std::unique_ptr<Tokenizer> find_tokenizer(const std::string& identity, int64_t vocab_size) {
  auto bytes = std::make_unique<ByteTokenizer>();
  const bool is_bytes =
      vocab_size == bytes->vocab_size() && full_identity(identity, vocab_size) == bytes->identity();
  if (!is_bytes) return nullptr;
  return bytes;
}

std::unique_ptr<Tokenizer> tokenizer_of_identity(const std::string& identity, int64_t vocab_size,
                                                 const std::string& file) {
  std::unique_ptr<Tokenizer> found = find_tokenizer(identity, vocab_size);
  DLCM_CHECK_INPUT(found != nullptr, "'", file, "': tokenizer '", identity, "' with ", vocab_size,
                   " ids is not one of this program's, expected 'bytes' with 257: only train, evaluate and "
                   "inspect, which need no text, take the file");
  return found;
}

}  // namespace dlcm::data
