// From inputs to shards: reads, encodes with all threads, writes in the order of the input.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "data/document_source.h"
#include "data/tokenizer.h"

namespace dlcm::apps {

struct TokenizeDomain {
  std::string name;  // empty: the shards lie in the output folder itself
  std::vector<std::string> inputs;
};

struct TokenizeOptions {
  std::string output;
  std::string tokenizer = "bytes";  // a copy of a tokenizer.json is written beside the shards
  std::vector<TokenizeDomain> domains;
  data::InputFormat format = data::InputFormat::by_name;
  double heldout_share = 0;
  int64_t shard_tokens = 100'000'000;
  bool overwrite = false;
};

struct TokenizeCounts {
  int64_t documents = 0;
  int64_t tokens = 0;  // begin and end included
  int64_t bytes = 0;   // of text
  int64_t heldout_documents = 0;
  int64_t heldout_tokens = 0;
  int64_t empty_documents = 0;  // skipped
  int64_t files = 0;
};

// Calls `progress` now and then. Shards get their names only when all input has been read: a failure leaves
// the folder as it was, and a kill while they get their names leaves a mark that
// train and evaluate refuse (data/shard.h). Throws InputError where there is nothing to train on; where the
// folder holds shards of the other layout (with domains, or without), even to be overwritten; and where
// shards are to be overwritten beside domains that are not among those given.
TokenizeCounts tokenize_documents(const TokenizeOptions& options, const data::Tokenizer& tokenizer,
                                  const std::function<void(const TokenizeCounts&)>& progress);

}  // namespace dlcm::apps
