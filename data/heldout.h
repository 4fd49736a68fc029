// Held-out text for evaluation: all of it, its first documents, or a sample spread over it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/packing.h"
#include "data/sections.h"
#include "data/shard.h"

namespace dlcm::data {

// What max_tokens leaves of each domain, in proportion to its tokens.
enum class HeldoutChoice {
  first,  // its first documents: rounded down, but at least 2 tokens and as far as its first target, where it
          // has them, so that a small max_tokens is exceeded rather than leave a domain out. 0: nothing
  spread  // whole sections (sections.h) evenly apart, at least one, about as many tokens: the first documents
          // are often of one author or one package and say little of the rest
};

struct HeldoutOptions {
  std::string source;           // SHARD.h5, or DIR with heldout-*.h5 or NAME/heldout-*.h5
  int64_t context = 1024;       // tokens: longer documents are cut
  int64_t batch_tokens = 4096;  // at most, in one batch; at least `context`
  int64_t max_tokens = -1;      // about that many in all; -1: everything
  HeldoutChoice choice = HeldoutChoice::first;
};

// Of one document of a batch, or one of the parts that a longer one is cut in.
struct HeldoutPiece {
  size_t domain = 0;  // of HeldoutReader::domains()
  // Bytes of text that its targets cover, what bits per byte divide by. Of a document in parts: pro rata to
  // the targets, and over all its parts exactly the document's.
  int64_t bytes = 0;
};

struct HeldoutBatch {
  PackedBatch batch;
  std::vector<HeldoutPiece> pieces;  // in the order of the batch's documents
};

class HeldoutReader {
 public:
  // Throws InputError where there is nothing to read.
  explicit HeldoutReader(const HeldoutOptions& options);

  int64_t vocab_size() const { return domains_[0].shards[0].header().vocab_size; }
  const std::string& tokenizer() const { return domains_[0].shards[0].header().tokenizer; }
  int64_t tokens() const { return tokens_; }  // that will be given in all
  // Their names, sorted; one empty name where the shards lie in no folders of domains.
  std::vector<std::string> domains() const;
  // The first tokens, at most `tokens`, of a domain's first document that has as many; where none has, of its
  // longest. Empty where the domain has no document.
  std::vector<int32_t> beginning(size_t domain, int64_t tokens) const;
  std::optional<HeldoutBatch> next();  // nothing at the end
  void restart() { given_ = 0; }

 private:
  struct Domain {
    std::string name;
    std::vector<ShardReader> shards;
    Sections sections;
    int64_t tokens = 0;
  };
  struct Chosen {
    size_t domain = 0;
    Section section;
  };

  void open_domain(const ShardDomain& source);
  void choose(size_t domain, Section section);
  void choose_first(size_t domain, int64_t tokens);
  void choose_spread(size_t domain, int64_t tokens);
  HeldoutBatch read(size_t first, size_t last) const;

  HeldoutOptions options_;
  std::vector<Domain> domains_;
  std::vector<Chosen> chosen_;  // in the order of the text
  int64_t tokens_ = 0;          // of all that are chosen
  size_t given_ = 0;            // of the chosen
};

}  // namespace dlcm::data
