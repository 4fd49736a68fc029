// Token shards (section 16 of the specification): HDF5 files with
//   /tokens       uint16 where vocab_size <= 65,536, else uint32 [tokens], chunks of 65,536
//   /doc_offsets  uint64 [documents + 1]: document i is tokens[doc_offsets[i] .. doc_offsets[i + 1])
//   /doc_bytes    uint64 [documents]: bytes of each document's text, what bits per byte divide by
// and the attributes format = "dlcm-tokens", version = 1, vocab_size, tokenizer (name and SHA-256), source
// and content, checksums of what is trained on: "crc32 tokens=XXXXXXXX doc_offsets=XXXXXXXX", of the ids as
// 32-bit and of the offsets as 64-bit little-endian integers. Shards without `content` are read as well.
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
  std::string tokenizer;  // Tokenizer::identity(), or another's of one's own; read in full (full_identity)
  std::string source;     // where the text came from, for people
};

// Streams documents to a file that appears whole or not at all; memory does not grow with it.
class ShardWriter {
 public:
  ShardWriter(const std::string& path, const ShardHeader& header);
  // The tokens of one document, begin and end included: at least 1, each in [0, vocab_size). `bytes`: of its
  // text.
  void add(std::span<const int32_t> tokens, int64_t bytes);
  // The same in parts: any number of the first, then the second.
  void add_part(std::span<const int32_t> tokens);
  void end_document(int64_t bytes);
  int64_t documents() const { return documents_; }
  int64_t tokens() const { return tokens_; }
  // Completes the file under its temporary name; publish() then gives it its own.
  void finish();
  void publish(FolderSync sync = FolderSync::now);

 private:
  void flush_tokens();
  void check_tokens(std::span<const int32_t> tokens) const;
  void flush_documents();

  std::string path_;
  int64_t vocab_size_ = 0;
  bool wide_ = false;
  int64_t documents_ = 0;
  int64_t tokens_ = 0;  // those of parts included
  std::vector<uint32_t> token_buffer_;
  uint64_t last_offset_ = 0;
  int64_t flushes_ = 0;  // of tokens
  std::vector<uint64_t> offset_buffer_;
  std::vector<uint64_t> bytes_buffer_;
  uint32_t tokens_crc_ = 0;  // of what was flushed
  uint32_t offsets_crc_ = 0;
  Hdf5Writer writer_;
};

// Opening verifies the file, its header and its offsets; reading verifies the ids. Any number of readers may
// live: few of them keep their files open (Hdf5Reader).
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
  // Reads all tokens through; throws where one is outside the vocabulary, or they are not those of `content`.
  void verify() const;
  // The checksums of tokens and offsets, as in the attribute `content`: equal for equal documents, wherever
  // their text came from. Of a sealed file that has the attribute at no cost; of others it reads all tokens
  // through and throws as verify() does.
  std::string content() const;

 private:
  void read_tokens(int64_t first, int64_t count, int32_t* out) const;
  std::string computed_content() const;

  Hdf5Reader file_;
  ShardHeader header_;
  std::vector<uint64_t> offsets_;
  std::vector<uint64_t> doc_bytes_;
  std::string stored_content_;  // empty: the file has none that a seal vouches for
};

// The shards DIR/KIND-NNNNN.h5 in order of their numbers; KIND is "train" or "heldout". Empty where there are
// none.
std::vector<std::string> shard_paths(const std::string& folder, const std::string& kind);

// A folder whose shards are being given their names holds this file (tokenize): those of an earlier run may
// still be among them, or some be missing.
inline constexpr char kIncompleteMark[] = "shards.incomplete";
bool is_incomplete(const std::string& folder);

// The folders of DIR/KIND-*.h5, or of DIR/NAME/KIND-*.h5 for each domain NAME, sorted by name.
struct ShardDomain {
  std::string name;  // empty where DIR itself holds the shards
  std::vector<std::string> paths;
};
// Throws InputError where there is no such folder, it or one of its folders is incomplete, or there are both
// kinds of layout; empty where there are no shards.
std::vector<ShardDomain> shard_domains(const std::string& folder, const std::string& kind);

// Throws InputError unless both have the same vocab_size and tokenizer.
void require_same_vocabulary(const ShardReader& first, const ShardReader& other);

}  // namespace dlcm::data
