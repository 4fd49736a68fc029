#include "data/sections.h"

#include <algorithm>

namespace dlcm::data {

Sections::Sections(const std::vector<ShardReader>& shards, int64_t context,
                   const std::vector<std::vector<int64_t>>& left_out)
    : context_(context) {
  for (size_t shard = 0; shard < shards.size(); ++shard) {
    const std::vector<int64_t> none;
    const std::vector<int64_t>& skipped = left_out.empty() ? none : left_out[shard];
    for (int64_t document = 0; document < shards[shard].documents(); ++document) {
      const bool skip = std::binary_search(skipped.begin(), skipped.end(), document);
      const int64_t sections = (shards[shard].document_tokens(document) + context - 1) / context;
      first_.push_back(first_.back() + (skip ? 0 : sections));
    }
    documents_.push_back(static_cast<int64_t>(first_.size()) - 1);
  }
}

Section Sections::at(const std::vector<ShardReader>& shards, int64_t index) const {
  const auto document = std::upper_bound(first_.begin(), first_.end(), index) - first_.begin() - 1;
  const auto shard =
      std::upper_bound(documents_.begin(), documents_.end(), document) - documents_.begin() - 1;
  Section section;
  section.shard = static_cast<size_t>(shard);
  section.document = document - documents_[section.shard];
  section.begin = (index - first_[static_cast<size_t>(document)]) * context_;
  section.end = std::min(section.begin + context_, shards[section.shard].document_tokens(section.document));
  return section;
}

Piece read_piece(const ShardReader& shard, int64_t document, int64_t begin, int64_t end) {
  Piece piece;
  const bool has_following = end < shard.document_tokens(document);
  piece.tokens = shard.read(document, begin, has_following ? end + 1 : end);
  if (has_following) {
    piece.following = piece.tokens.back();
    piece.tokens.pop_back();
  }
  return piece;
}

}  // namespace dlcm::data
