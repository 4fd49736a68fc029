// The shards of one folder while they are written: documents go to training or held-out shards, which appear
// together when all of them are complete: a mark in the folder tells when a run was stopped in between.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "apps/tokenize/token_spool.h"
#include "data/shard.h"

namespace dlcm::apps {

// Whether the text belongs to the held-out share: a 64-bit hash of its bytes, as a number in [0, 1), is below
// it. The same on every machine, in every order, and for every copy of the text.
bool is_heldout(std::string_view text, double share);
// The same of a text in parts, by hash_name (tensor/random.h) of all of them.
bool is_heldout_hash(uint64_t name_hash, double share);

struct SplitCounts {
  int64_t documents = 0;
  int64_t tokens = 0;
  int64_t bytes = 0;
};

class ShardSet {
 public:
  // Makes the folder where it is missing. Throws InputError where it holds shards already, unless `overwrite`
  // or they are what a first run, in a folder without shards, had named when it was stopped.
  ShardSet(std::string folder, data::ShardHeader header, int64_t shard_tokens, bool overwrite);

  void add(std::span<const int32_t> tokens, int64_t bytes, bool heldout);
  // The same in parts, before it is known how many tokens there are and where they belong: what is more than
  // a few megabytes of them waits on the disk.
  void add_part(std::span<const int32_t> tokens);
  void end_document(int64_t bytes, bool heldout);
  const SplitCounts& train() const { return train_.counts; }
  const SplitCounts& heldout() const { return heldout_.counts; }
  const std::string& folder() const { return folder_; }

  void finish();  // completes all files under temporary names
  // Between these two the folder holds the mark of an incomplete one (data/shard.h). Sets that belong
  // together are all marked before the first is published, and unmarked after the last.
  void mark_incomplete();
  void mark_complete();
  void publish();  // names the files, and removes the shards of an earlier run that are not among them

 private:
  struct Split {
    std::string kind;
    SplitCounts counts;
    std::vector<std::unique_ptr<data::ShardWriter>> writers;  // the last one is open
    std::vector<std::string> paths;
  };
  void open_shard(Split& split);
  data::ShardWriter& writer_for(int64_t tokens, int64_t bytes, bool heldout);

  std::string folder_;
  data::ShardHeader header_;
  int64_t shard_tokens_;
  bool first_run_ = false;  // the folder holds no shards but those of a first run that was stopped
  Split train_{"train", {}, {}, {}};
  Split heldout_{"heldout", {}, {}, {}};
  TokenSpool parts_;  // of the document that has not ended
};

}  // namespace dlcm::apps
