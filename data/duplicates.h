// Documents that several shards share: what is held out must not be trained on.
#pragma once

#include <cstdint>
#include <unordered_set>
#include <vector>

#include "data/shard.h"

namespace dlcm::data {

// The documents of some shards, each by the number of its tokens and a 64-bit hash of them: that two
// different ones of a billion of one length share a hash has a chance of 3 %. 16 bytes of memory and the
// set's own a document.
class DocumentSet {
 public:
  DocumentSet() = default;
  // All documents of the domains' shards, which are opened one after the other.
  explicit DocumentSet(const std::vector<ShardDomain>& domains);

  bool empty() const { return hashes_.empty(); }
  // The documents of `shard` that are in the set, in order. Reads those whose length one in the set has, in
  // pieces, so that memory does not depend on their size.
  std::vector<int64_t> documents_in(const ShardReader& shard) const;

 private:
  std::unordered_set<int64_t> lengths_;  // tokens
  std::unordered_set<uint64_t> hashes_;
};

}  // namespace dlcm::data
