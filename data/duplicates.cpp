#include "data/duplicates.h"

#include <algorithm>

#include "tensor/random.h"

namespace dlcm::data {
namespace {

constexpr int64_t kReadTokens = 65536;  // at a time: a chunk of the file

uint64_t hash_of(const ShardReader& shard, int64_t document) {
  const int64_t count = shard.document_tokens(document);
  auto hash = static_cast<uint64_t>(count);
  for (int64_t begin = 0; begin < count; begin += kReadTokens) {
    for (const int32_t token : shard.read(document, begin, std::min(count, begin + kReadTokens))) {
      hash = mixed_bits(hash + 0x9E3779B97F4A7C15ull + static_cast<uint32_t>(token));
    }
  }
  return hash;
}

}  // namespace

DocumentSet::DocumentSet(const std::vector<ShardDomain>& domains) {
  for (const ShardDomain& domain : domains) {
    for (const std::string& path : domain.paths) {
      const ShardReader shard(path);
      for (int64_t document = 0; document < shard.documents(); ++document) {
        lengths_.insert(shard.document_tokens(document));
        hashes_.insert(hash_of(shard, document));
      }
    }
  }
}

std::vector<int64_t> DocumentSet::documents_in(const ShardReader& shard) const {
  std::vector<int64_t> found;
  for (int64_t document = 0; document < shard.documents(); ++document) {
    if (!lengths_.contains(shard.document_tokens(document))) continue;
    if (hashes_.contains(hash_of(shard, document))) found.push_back(document);
  }
  return found;
}

}  // namespace dlcm::data
