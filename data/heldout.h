// Held-out documents in the order of the shards, for evaluation.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/packing.h"
#include "data/shard.h"

namespace dlcm::data {

struct HeldoutOptions {
  std::string source;           // SHARD.h5, or DIR with heldout-*.h5 or NAME/heldout-*.h5
  int64_t context = 1024;       // tokens: longer documents are cut
  int64_t batch_tokens = 4096;  // at most, in one batch; at least `context`
  int64_t max_tokens = -1;      // about that many in all, see below; -1: everything
};

struct HeldoutBatch {
  PackedBatch batch;
  // Bytes of text that the batch's targets cover, what bits per byte divide by. Of a document in parts: pro
  // rata to the targets, and over all its parts exactly the document's.
  int64_t bytes = 0;
};

class HeldoutReader {
 public:
  // Throws InputError where there is nothing to read. With max_tokens each domain gives a part in proportion
  // to its tokens, its first documents: rounded down, but at least 2 tokens and as far as its first target,
  // where it has them, so that a small max_tokens is exceeded rather than leave a domain out. 0: nothing.
  explicit HeldoutReader(const HeldoutOptions& options);

  int64_t vocab_size() const { return shards_[0].header().vocab_size; }
  const std::string& tokenizer() const { return shards_[0].header().tokenizer; }
  int64_t tokens() const;              // that will be given in all
  std::optional<HeldoutBatch> next();  // nothing at the end
  void restart();

 private:
  struct Part {  // one domain: shards [first, last), and how many tokens of them are used
    size_t first = 0;
    size_t last = 0;
    int64_t tokens = 0;
  };

  int64_t least_tokens(const Part& part) const;
  bool has_more();
  int64_t next_piece_size() const;
  Piece take_piece(int64_t& bytes);

  HeldoutOptions options_;
  std::vector<ShardReader> shards_;
  std::vector<Part> parts_;
  // The next token to be given.
  size_t part_ = 0;
  size_t shard_ = 0;
  int64_t document_ = 0;
  int64_t offset_ = 0;
  int64_t used_ = 0;  // tokens of the part given so far
  int64_t pieces_ = 0;
};

}  // namespace dlcm::data
