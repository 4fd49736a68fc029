#include "data/loader.h"

#include <algorithm>
#include <cmath>

#include "data/permutation.h"
#include "tensor/check.h"
#include "tensor/random.h"

namespace dlcm::data {
namespace {

constexpr int64_t kCursorVersion = 3;
constexpr int64_t kOldestCursorVersion = 2;  // until then checksums were of whole files, with their `source`
constexpr size_t kCursorHead =
    6;  // version, fingerprint, seed, pieces, domain and offset of the current document
constexpr char kImpossiblePosition[] =
    "the checkpoint's position in the data (attribute 'loader_cursor') is impossible: resume from another "
    "checkpoint";
__extension__ using Int128 = __int128;

std::string join_names(const std::vector<ShardDomain>& domains) {
  std::string names;
  for (const ShardDomain& domain : domains) names += concat(names.empty() ? "" : ", ", domain.name);
  return names;
}

void require_weights(const std::map<std::string, double>& weights, const std::vector<ShardDomain>& domains,
                     const std::string& folder) {
  if (weights.empty()) return;
  DLCM_CHECK_INPUT(
      !domains[0].name.empty(), "data.weights: '", folder,
      "' holds shards without domains; make them with tokenize --domain, or leave the weights out");
  double sum = 0;
  for (const auto& [name, weight] : weights) {
    const bool known =
        std::any_of(domains.begin(), domains.end(),
                    [&, &wanted = name](const ShardDomain& domain) { return domain.name == wanted; });
    DLCM_CHECK_INPUT(known, "data.weights: '", folder, "' has no domain '", name, "'; it has ",
                     join_names(domains));
    DLCM_CHECK_INPUT(std::isfinite(weight) && weight >= 0, "data.weights: ", name, " = ", weight,
                     ", expected a number of at least 0");
    sum += weight;
  }
  for (const ShardDomain& domain : domains) {
    DLCM_CHECK_INPUT(weights.count(domain.name) > 0, "data.weights: no weight for the domain '", domain.name,
                     "' of '", folder, "'; 0 leaves it out");
  }
  DLCM_CHECK_INPUT(std::isfinite(sum) && sum > 0, "data.weights: their sum is ", sum,
                   ", expected more than 0: give a domain a weight above 0");
}

}  // namespace

Loader::Loader(const LoaderOptions& options) : options_(options) {
  DLCM_CHECK_INPUT(options.context >= 1, "train.context is ", options.context, ", expected at least 1");
  DLCM_CHECK_INPUT(options.batch_tokens >= 1, "train.batch_tokens is ", options.batch_tokens,
                   ", expected at least 1");
  const std::vector<ShardDomain> sources = shard_domains(options.folder, "train");
  DLCM_CHECK_INPUT(!sources.empty(), "'", options.folder,
                   "' holds no training shards (train-*.h5, or NAME/train-*.h5): make them with tokenize");
  require_weights(options.weights, sources, options.folder);
  for (const ShardDomain& source : sources) open_domain(source);
  set_shares(options.weights);
  fingerprint_ = find_fingerprint(kCursorVersion);
}

void Loader::open_domain(const ShardDomain& source) {
  Domain domain;
  domain.name = source.name;
  domain.order_seed = static_cast<uint64_t>(options_.seed) ^ hash_name(source.name);
  domain.first_document.push_back(0);
  for (const std::string& path : source.paths) {
    domain.shards.emplace_back(path);
    const ShardReader& shard = domain.shards.back();
    require_same_vocabulary(domains_.empty() ? domain.shards[0] : domains_[0].shards[0], shard);
    domain.first_document.push_back(domain.documents() + shard.documents());
    domain.tokens += shard.tokens();
  }
  DLCM_CHECK_INPUT(domain.documents() > 0, "the training shards in '", options_.folder, "'",
                   source.name.empty() ? "" : concat(", domain '", source.name, "',"),
                   " hold no documents: make them with tokenize, from inputs that hold text");
  domains_.push_back(std::move(domain));
}

// Shares are integers, so that the choice of a domain is exact on every machine.
void Loader::set_shares(const std::map<std::string, double>& weights) {
  constexpr double kUnits = 4294967296.0;
  double sum = 0;
  for (const auto& [name, weight] : weights) sum += weight;
  for (Domain& domain : domains_) {
    domain.share = weights.empty() ? domain.tokens : std::llround(weights.at(domain.name) / sum * kUnits);
    share_sum_ += domain.share;
  }
}

int64_t Loader::documents() const {
  int64_t sum = 0;
  for (const Domain& domain : domains_) sum += domain.documents();
  return sum;
}

int64_t Loader::tokens() const {
  int64_t sum = 0;
  for (const Domain& domain : domains_) sum += domain.tokens;
  return sum;
}

int64_t Loader::bytes() const {
  int64_t sum = 0;
  for (const Domain& domain : domains_) {
    for (const ShardReader& shard : domain.shards) {
      for (int64_t document = 0; document < shard.documents(); ++document)
        sum += shard.document_bytes(document);
    }
  }
  return sum;
}

std::vector<std::string> Loader::domain_names() const {
  std::vector<std::string> names;
  for (const Domain& domain : domains_) names.push_back(domain.name);
  return names;
}

std::vector<int64_t> Loader::tokens_drawn() const {
  std::vector<int64_t> drawn;
  for (const Domain& domain : domains_) drawn.push_back(domain.tokens_drawn);
  return drawn;
}

// Tells apart what another order of training would come from: tokens and documents, how they lie in shards
// and domains, the tokenizer. Not where the text came from.
int64_t Loader::find_fingerprint(int64_t version) const {
  std::string text = concat(vocab_size(), " ", tokenizer());
  for (const Domain& domain : domains_) {
    text += concat("\n", domain.name, " ", domain.tokens);
    for (const int64_t first : domain.first_document) text += concat(" ", first);
    for (const ShardReader& shard : domain.shards) {
      text += version == kCursorVersion ? concat(" ", shard.content())
                                        : concat(" ", shard.sealed_crc().value_or(0));
    }
  }
  return static_cast<int64_t>(hash_name(text) >> 1);
}

Loader::Place Loader::place(const Domain& domain, int64_t drawn) const {
  const int64_t n = domain.documents();
  const auto document =
      static_cast<int64_t>(permuted(domain.order_seed, static_cast<uint64_t>(drawn / n),
                                    static_cast<uint64_t>(drawn % n), static_cast<uint64_t>(n)));
  const auto& first = domain.first_document;
  const auto after = std::upper_bound(first.begin(), first.end(), document);
  const auto shard = static_cast<size_t>(after - first.begin() - 1);
  return {&domain.shards[shard], document - first[shard]};
}

size_t Loader::furthest_behind() const {
  int64_t total = 0;
  for (const Domain& domain : domains_) total += domain.tokens_drawn;
  size_t best = domains_.size();
  Int128 best_deficit = 0;
  for (size_t i = 0; i < domains_.size(); ++i) {
    const Domain& domain = domains_[i];
    if (domain.share == 0) continue;
    const Int128 deficit = Int128{domain.share} * total - Int128{share_sum_} * domain.tokens_drawn;
    if (best == domains_.size() || deficit > best_deficit) {
      best = i;
      best_deficit = deficit;
    }
  }
  return best;
}

void Loader::begin_document() {
  const size_t index = furthest_behind();
  Domain& domain = domains_[index];
  current_ = place(domain, domain.documents_drawn);
  current_domain_ = static_cast<int64_t>(index);
  current_offset_ = 0;
  ++domain.documents_drawn;
  domain.tokens_drawn += current_.shard->document_tokens(current_.document);
}

std::vector<Piece> Loader::next_step() {
  std::vector<Piece> pieces;
  int64_t left = options_.batch_tokens;
  while (left > 0) {
    if (current_domain_ < 0) begin_document();
    const int64_t length = current_.shard->document_tokens(current_.document);
    const int64_t size = std::min({options_.context, length - current_offset_, left});
    const int64_t end = current_offset_ + size;
    Piece piece;
    piece.tokens = current_.shard->read(current_.document, current_offset_, std::min(end + 1, length));
    if (end < length) {
      piece.following = piece.tokens.back();
      piece.tokens.pop_back();
    }
    piece.sample = pieces_++;
    pieces.push_back(std::move(piece));
    left -= size;
    current_offset_ = end;
    if (end == length) current_domain_ = -1;
  }
  return pieces;
}

std::vector<int64_t> Loader::cursor() const {
  std::vector<int64_t> cursor = {kCursorVersion, fingerprint_,    options_.seed,
                                 pieces_,        current_domain_, current_domain_ < 0 ? 0 : current_offset_};
  for (const Domain& domain : domains_) {
    cursor.push_back(domain.documents_drawn);
    cursor.push_back(domain.tokens_drawn);
  }
  return cursor;
}

void Loader::seek(const std::vector<int64_t>& cursor) {
  const bool known =
      cursor.size() >= kCursorHead && cursor[0] >= kOldestCursorVersion && cursor[0] <= kCursorVersion;
  DLCM_CHECK_INPUT(known, "the checkpoint's position in the data (attribute 'loader_cursor') ",
                   cursor.empty() ? "is empty" : concat("has version ", cursor[0]), ", expected version ",
                   kOldestCursorVersion, " to ", kCursorVersion,
                   ": resume with the program that wrote the checkpoint");
  const int64_t fingerprint = cursor[0] == kCursorVersion ? fingerprint_ : find_fingerprint(cursor[0]);
  DLCM_CHECK_INPUT(cursor[1] == fingerprint && cursor.size() == kCursorHead + 2 * domains_.size(),
                   "the checkpoint's position is of other data than '", options_.folder,
                   "' (tokens, documents, shards, domains or tokenizer differ): resume with the shards that "
                   "the run began with");
  DLCM_CHECK_INPUT(cursor[2] == options_.seed, "the checkpoint's position is of seed ", cursor[2],
                   ", but train.seed is ", options_.seed, ": resume with --set train.seed=", cursor[2]);
  const bool possible =
      std::all_of(cursor.begin() + 3, cursor.end(), [](int64_t value) { return value >= -1; }) &&
      cursor[4] < static_cast<int64_t>(domains_.size());
  DLCM_CHECK_INPUT(possible, kImpossiblePosition);
  pieces_ = cursor[3];
  current_domain_ = cursor[4];
  current_offset_ = cursor[5];
  for (size_t i = 0; i < domains_.size(); ++i) {
    domains_[i].documents_drawn = cursor[kCursorHead + 2 * i];
    domains_[i].tokens_drawn = cursor[kCursorHead + 2 * i + 1];
  }
  if (current_domain_ < 0) return;
  const Domain& domain = domains_[static_cast<size_t>(current_domain_)];
  DLCM_CHECK_INPUT(domain.documents_drawn > 0, kImpossiblePosition);
  current_ = place(domain, domain.documents_drawn - 1);
  const int64_t length = current_.shard->document_tokens(current_.document);
  DLCM_CHECK_INPUT(current_offset_ >= 0 && current_offset_ < length, kImpossiblePosition);
}

}  // namespace dlcm::data
