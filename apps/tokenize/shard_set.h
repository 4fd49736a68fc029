// The shards of one folder while they are written: documents go to training or held-out shards, which appear
// together when all of them are complete.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/shard.h"

namespace dlcm::apps {

// Whether the text belongs to the held-out share: a 64-bit hash of its bytes, as a number in [0, 1), is below
// it. The same on every machine, in every order, and for every copy of the text.
bool is_heldout(std::string_view text, double share);

struct SplitCounts {
  int64_t documents = 0;
  int64_t tokens = 0;
  int64_t bytes = 0;
};

class ShardSet {
 public:
  // Makes the folder where it is missing. Throws InputError where it holds shards already, unless
  // `overwrite`.
  ShardSet(std::string folder, data::ShardHeader header, int64_t shard_tokens, bool overwrite);

  void add(std::span<const int32_t> tokens, int64_t bytes, bool heldout);
  const SplitCounts& train() const { return train_.counts; }
  const SplitCounts& heldout() const { return heldout_.counts; }
  const std::string& folder() const { return folder_; }

  void finish();   // completes all files under temporary names
  void publish();  // names them, and removes the shards of an earlier run that are not among them

 private:
  struct Split {
    std::string kind;
    SplitCounts counts;
    std::vector<std::unique_ptr<data::ShardWriter>> writers;  // the last one is open
    std::vector<std::string> paths;
  };
  void open_shard(Split& split);

  std::string folder_;
  data::ShardHeader header_;
  int64_t shard_tokens_;
  Split train_{"train", {}, {}, {}};
  Split heldout_{"heldout", {}, {}, {}};
};

}  // namespace dlcm::apps
