// Token shards (section 16 of the specification): HDF5 files with
//   /tokens       uint16 where vocab_size <= 65,536, else uint32 [tokens], chunks of 65,536
//   /doc_offsets  uint64 [documents + 1]: document i is tokens[doc_offsets[i] .. doc_offsets[i + 1])
//   /doc_bytes    uint64 [documents]: bytes of each document's text, what bits per byte divide by
// and the attributes format = "dlcm-tokens", version = 1, vocab_size, tokenizer (name and SHA-256) and
// source.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/hdf5_file.h"

namespace dlcm::data {

inline constexpr char kShardFormat[] = "dlcm-tokens";
inline constexpr int64_t kShardVersion = 1;

struct ShardHeader {
  int64_t vocab_size = 0;
  std::string tokenizer;  // Tokenizer::identity()
  std::string source;     // where the text came from, for people
};

// Streams documents to a file that appears whole or not at all; memory does not grow with it.
class ShardWriter {
 public:
  ShardWriter(const std::string& path, const ShardHeader& header);
  // The tokens of one document, begin and end included: at least 1, each in [0, vocab_size). `bytes`: of its
  // text.
  void add(std::span<const int32_t> tokens, int64_t bytes);
  int64_t documents() const { return documents_; }
  int64_t tokens() const { return tokens_; }
  // Completes the file under its temporary name; publish() then gives it its own.
  void finish();
  void publish();

 private:
  void flush_tokens();
  void flush_documents();

  std::string path_;
  int64_t vocab_size_ = 0;
  bool wide_ = false;
  int64_t documents_ = 0;
  int64_t tokens_ = 0;
  std::vector<uint32_t> token_buffer_;
  std::vector<uint64_t> offset_buffer_;
  std::vector<uint64_t> bytes_buffer_;
  Hdf5Writer writer_;
};

// Opening verifies the file, its header and its offsets; reading verifies the ids.
class ShardReader {
 public:
  explicit ShardReader(const std::string& path);
  const std::string& path() const { return file_.path(); }
  const ShardHeader& header() const { return header_; }
  int64_t documents() const { return static_cast<int64_t>(doc_bytes_.size()); }
  int64_t tokens() const { return static_cast<int64_t>(offsets_.back()); }
  int64_t document_tokens(int64_t document) const;
  int64_t document_bytes(int64_t document) const;
  // Tokens [begin, end) of a document, counted from its first.
  std::vector<int32_t> read(int64_t document, int64_t begin, int64_t end) const;
  // Reads all tokens through; throws where one is outside the vocabulary.
  void verify() const;
  // Tells shards of other content apart: the seal's CRC-32 of the file where it is sealed (at no cost), else
  // one of the offsets and tokens, which reads all tokens through and throws as verify() does.
  uint32_t checksum() const;

 private:
  void read_tokens(int64_t first, int64_t count, int32_t* out) const;

  Hdf5Reader file_;
  ShardHeader header_;
  std::vector<uint64_t> offsets_;
  std::vector<uint64_t> doc_bytes_;
};

// The shards DIR/KIND-NNNNN.h5 in order of their names; KIND is "train" or "heldout". Empty where there are
// none.
std::vector<std::string> shard_paths(const std::string& folder, const std::string& kind);

// The folders of DIR/KIND-*.h5, or of DIR/NAME/KIND-*.h5 for each domain NAME, sorted by name.
struct ShardDomain {
  std::string name;  // empty where DIR itself holds the shards
  std::vector<std::string> paths;
};
// Throws InputError where there is no such folder, or both kinds of layout; empty where there are no shards.
std::vector<ShardDomain> shard_domains(const std::string& folder, const std::string& kind);

// Throws InputError unless both have the same vocab_size and tokenizer.
void require_same_vocabulary(const ShardReader& first, const ShardReader& other);

}  // namespace dlcm::data
