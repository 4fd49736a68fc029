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

// Bytes of text that a section's targets stand for: pro rata, over all sections of a document exactly its
// bytes.
int64_t bytes_of(const ShardReader& shard, const Section& section) {
  const int64_t bytes = shard.document_bytes(section.document);
  const int64_t targets = shard.document_tokens(section.document) - 1;
  if (targets == 0) return bytes;
  const auto before = [&](int64_t token) {
    return static_cast<int64_t>(Int128{bytes} * std::min(token, targets) / targets);
  };
  return before(section.end) - before(section.begin);
}

// A document's first token has the second as its target, so the first document of at least two tokens gives
// one with its first token; those before it give none.
int64_t tokens_to_first_target(const std::vector<ShardReader>& shards) {
  int64_t before = 0;
  for (const ShardReader& shard : shards) {
    for (int64_t document = 0; document < shard.documents(); ++document, ++before) {
      if (shard.document_tokens(document) > 1) return std::max<int64_t>(2, before + 1);
    }
  }
  return std::min<int64_t>(2, before);
}

}  // namespace

HeldoutReader::HeldoutReader(const HeldoutOptions& options) : options_(options) {
  DLCM_CHECK_INPUT(options.context >= 1 && options.batch_tokens >= options.context, "evaluation: a batch of ",
                   options.batch_tokens, " tokens cannot hold a context of ", options.context,
                   ", expected a context of at least 1 and a batch of at least the context");
  for (const ShardDomain& domain : find_shards(options.source)) open_domain(domain);
  int64_t total = 0;
  for (const Domain& domain : domains_) total += domain.tokens;
  DLCM_CHECK_INPUT(total > 0, "'", options.source,
                   "' holds no documents to evaluate: make held-out shards with tokenize --heldout");
  if (options.max_tokens == 0) return;
  const bool all = options.max_tokens < 0 || options.max_tokens >= total;
  for (size_t i = 0; i < domains_.size(); ++i) {
    const int64_t tokens = domains_[i].tokens;
    const auto share = all ? tokens : static_cast<int64_t>(Int128{tokens} * options.max_tokens / total);
    if (options.choice == HeldoutChoice::spread && !all) {
      choose_spread(i, share);
    } else {
      choose_first(i, share);
    }
  }
}

void HeldoutReader::open_domain(const ShardDomain& source) {
  Domain domain;
  domain.name = source.name;
  for (const std::string& path : source.paths) {
    domain.shards.emplace_back(path);
    require_same_vocabulary(domains_.empty() ? domain.shards[0] : domains_[0].shards[0],
                            domain.shards.back());
    domain.tokens += domain.shards.back().tokens();
  }
  domain.sections = Sections(domain.shards, options_.context);
  domains_.push_back(std::move(domain));
}

void HeldoutReader::choose(size_t domain, Section section) {
  tokens_ += section.end - section.begin;
  chosen_.push_back({domain, section});
}

void HeldoutReader::choose_first(size_t domain, int64_t tokens) {
  const Domain& from = domains_[domain];
  int64_t left = std::max(tokens, tokens_to_first_target(from.shards));
  for (int64_t i = 0; i < from.sections.count() && left > 0; ++i) {
    Section section = from.sections.at(from.shards, i);
    section.end = std::min(section.end, section.begin + left);
    left -= section.end - section.begin;
    choose(domain, section);
  }
}

void HeldoutReader::choose_spread(size_t domain, int64_t tokens) {
  const Domain& from = domains_[domain];
  const int64_t count = from.sections.count();
  if (count == 0) return;
  // The middles of as many equal parts, counted in sections.
  const auto wanted = std::max<int64_t>(1, static_cast<int64_t>(Int128{count} * tokens / from.tokens));
  for (int64_t i = 0; i < wanted; ++i) {
    const auto middle = static_cast<int64_t>(Int128{count} * (2 * i + 1) / (2 * wanted));
    choose(domain, from.sections.at(from.shards, middle));
  }
}

std::vector<std::string> HeldoutReader::domains() const {
  std::vector<std::string> names;
  for (const Domain& domain : domains_) names.push_back(domain.name);
  return names;
}

std::vector<int32_t> HeldoutReader::beginning(size_t domain, int64_t tokens) const {
  const ShardReader* longest = nullptr;
  int64_t document = 0, length = 0;
  for (const ShardReader& shard : domains_[domain].shards) {
    for (int64_t i = 0; i < shard.documents() && length < tokens; ++i) {
      if (shard.document_tokens(i) <= length) continue;
      longest = &shard;
      document = i;
      length = shard.document_tokens(i);
    }
  }
  if (longest == nullptr) return {};
  return longest->read(document, 0, std::min(length, tokens));
}

HeldoutBatch HeldoutReader::read(size_t first, size_t last) const {
  HeldoutBatch result;
  std::vector<Piece> pieces;
  std::vector<const Piece*> views;
  pieces.reserve(last - first);
  for (size_t i = first; i < last; ++i) {
    const auto& [domain, section] = chosen_[i];
    const ShardReader& shard = domains_[domain].shards[section.shard];
    pieces.push_back(read_piece(shard, section.document, section.begin, section.end));
    pieces.back().sample = static_cast<int64_t>(i);
    views.push_back(&pieces.back());
    result.pieces.push_back({domain, bytes_of(shard, section)});
  }
  result.batch = pack(views);
  return result;
}

std::optional<HeldoutBatch> HeldoutReader::next() {
  const size_t first = given_;
  int64_t left = options_.batch_tokens;
  for (; given_ < chosen_.size(); ++given_) {
    const Section& section = chosen_[given_].section;
    left -= section.end - section.begin;
    if (left < 0) break;
  }
  if (first == given_) return std::nullopt;
  return read(first, given_);
}

}  // namespace dlcm::data
