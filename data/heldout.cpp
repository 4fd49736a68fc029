#include "data/heldout.h"

#include <algorithm>
#include <filesystem>

#include "tensor/check.h"

namespace dlcm::data {
namespace {

__extension__ using Int128 = __int128;

std::vector<ShardDomain> find_shards(const std::string& source) {
  std::error_code error;
  DLCM_CHECK_INPUT(std::filesystem::exists(source, error), "there is no file or folder '", source, "'");
  if (!std::filesystem::is_directory(source, error)) return {{"", {source}}};
  std::vector<ShardDomain> domains = shard_domains(source, "heldout");
  DLCM_CHECK_INPUT(
      !domains.empty(), "'", source,
      "' holds no held-out shards (heldout-*.h5, or NAME/heldout-*.h5): make them with tokenize --heldout");
  return domains;
}

// Bytes of text that the targets [0, targets) of a document stand for: all of them for the last.
int64_t bytes_before(int64_t bytes, int64_t targets, int64_t all_targets) {
  return static_cast<int64_t>(Int128{bytes} * targets / all_targets);
}

}  // namespace

HeldoutReader::HeldoutReader(const HeldoutOptions& options) : options_(options) {
  DLCM_CHECK_INPUT(options.context >= 1 && options.batch_tokens >= options.context, "evaluation: a batch of ",
                   options.batch_tokens, " tokens cannot hold a context of ", options.context,
                   ", expected a context of at least 1 and a batch of at least the context");
  int64_t total = 0;
  for (const ShardDomain& domain : find_shards(options.source)) {
    Part part{shards_.size(), shards_.size(), 0};
    for (const std::string& path : domain.paths) {
      shards_.emplace_back(path);
      require_same_vocabulary(shards_[0], shards_.back());
      part.tokens += shards_.back().tokens();
    }
    part.last = shards_.size();
    total += part.tokens;
    parts_.push_back(part);
  }
  DLCM_CHECK_INPUT(total > 0, "'", options.source,
                   "' holds no documents to evaluate: make held-out shards with tokenize --heldout");
  if (options.max_tokens < 0 || options.max_tokens >= total) return;
  for (Part& part : parts_) {
    const auto share = static_cast<int64_t>(Int128{part.tokens} * options.max_tokens / total);
    part.tokens = options.max_tokens == 0 ? 0 : std::max(share, least_tokens(part));
  }
}

// A document's first token has the second as its target, so the first document of at least two tokens gives
// one with its first token; those before it give none.
int64_t HeldoutReader::least_tokens(const Part& part) const {
  int64_t before = 0;
  for (size_t shard = part.first; shard < part.last; ++shard) {
    for (int64_t document = 0; document < shards_[shard].documents(); ++document, ++before) {
      if (shards_[shard].document_tokens(document) > 1) return std::max<int64_t>(2, before + 1);
    }
  }
  return std::min<int64_t>(2, part.tokens);
}

int64_t HeldoutReader::tokens() const {
  int64_t sum = 0;
  for (const Part& part : parts_) sum += part.tokens;
  return sum;
}

void HeldoutReader::restart() {
  part_ = shard_ = 0;
  document_ = offset_ = used_ = pieces_ = 0;
}

// Moves to the next document that has something to give; false at the end.
bool HeldoutReader::has_more() {
  for (; part_ < parts_.size(); ++part_, used_ = 0) {
    const Part& part = parts_[part_];
    shard_ = used_ == 0 ? part.first : shard_;
    if (used_ == 0) document_ = offset_ = 0;
    if (used_ == part.tokens) continue;
    while (document_ == shards_[shard_].documents()) {
      ++shard_;
      document_ = 0;
    }
    return true;
  }
  return false;
}

int64_t HeldoutReader::next_piece_size() const {
  const int64_t left = shards_[shard_].document_tokens(document_) - offset_;
  return std::min({options_.context, left, parts_[part_].tokens - used_});
}

Piece HeldoutReader::take_piece(int64_t& bytes) {
  const ShardReader& shard = shards_[shard_];
  const int64_t length = shard.document_tokens(document_);
  const int64_t end = offset_ + next_piece_size();
  Piece piece;
  piece.sample = pieces_++;
  piece.tokens = shard.read(document_, offset_, std::min(end + 1, length));
  if (end < length) {
    piece.following = piece.tokens.back();
    piece.tokens.pop_back();
  }
  const int64_t document_bytes = shard.document_bytes(document_);
  const int64_t targets = length - 1;
  bytes += targets == 0 ? document_bytes
                        : bytes_before(document_bytes, std::min(end, targets), targets) -
                              bytes_before(document_bytes, std::min(offset_, targets), targets);
  used_ += end - offset_;
  offset_ = end;
  if (end == length) {
    ++document_;
    offset_ = 0;
  }
  return piece;
}

std::optional<HeldoutBatch> HeldoutReader::next() {
  std::vector<Piece> pieces;
  HeldoutBatch result;
  int64_t left = options_.batch_tokens;
  while (has_more() && next_piece_size() <= left) {
    pieces.push_back(take_piece(result.bytes));
    left -= pieces.back().size();
  }
  if (pieces.empty()) return std::nullopt;
  std::vector<const Piece*> chosen;
  for (const Piece& piece : pieces) chosen.push_back(&piece);
  result.batch = pack(chosen);
  return result;
}

}  // namespace dlcm::data
