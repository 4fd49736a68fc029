// Documents cut at the context. A section is a document, or one of the cuts of a longer one: what training
// visits in random order and evaluation in the order of the text.
#pragma once

#include <cstdint>
#include <vector>

#include "data/packing.h"
#include "data/shard.h"

namespace dlcm::data {

struct Section {
  size_t shard = 0;      // of the domain
  int64_t document = 0;  // of the shard
  int64_t begin = 0;     // its tokens of the document: [begin, end)
  int64_t end = 0;
};

// Numbers the sections of a domain's shards in the order of the text: 8 bytes of memory a document.
class Sections {
 public:
  Sections() = default;
  // Cuts every `context` tokens, at least 1. Documents of `left_out`, in order for each shard, have no
  // sections.
  Sections(const std::vector<ShardReader>& shards, int64_t context,
           const std::vector<std::vector<int64_t>>& left_out = {});

  int64_t count() const { return first_.back(); }
  // Section `index` of [0, count()); `shards` as they were given.
  Section at(const std::vector<ShardReader>& shards, int64_t index) const;

 private:
  int64_t context_ = 1;
  std::vector<int64_t> first_ = {0};      // [documents + 1]: the first section of each document
  std::vector<int64_t> documents_ = {0};  // [shards + 1]: the first document of each shard
};

// Tokens [begin, end) of a document and the one after them.
Piece read_piece(const ShardReader& shard, int64_t document, int64_t begin, int64_t end);

}  // namespace dlcm::data
