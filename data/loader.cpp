#include "data/loader.h"

#include <algorithm>
#include <cmath>

#include "data/permutation.h"
#include "tensor/check.h"
#include "tensor/random.h"

namespace dlcm::data {
namespace {

constexpr int64_t kCursorVersion = 4;  // 3: documents were visited whole, a long one in one go
constexpr size_t kCursorHead =
    6;  // version, fingerprint, seed, pieces, domain and begin of the current section
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
  const DocumentSet heldout(shard_domains(options.folder, "heldout"));
  for (const ShardDomain& source : sources) open_domain(source, heldout);
  set_shares(options.weights);
  fingerprint_ = find_fingerprint();
}

void Loader::open_domain(const ShardDomain& source, const DocumentSet& heldout) {
  Domain domain;
  domain.name = source.name;
  domain.order_seed = static_cast<uint64_t>(options_.seed) ^ hash_name(source.name);
  std::vector<std::vector<int64_t>> duplicates;  // of each shard
  for (const std::string& path : source.paths) {
    domain.shards.emplace_back(path);
    const ShardReader& shard = domain.shards.back();
    require_same_vocabulary(domains_.empty() ? domain.shards[0] : domains_[0].shards[0], shard);
    duplicates.push_back(heldout.documents_in(shard));
    count_documents(domain, duplicates.back());
  }
  const std::string place = concat("the training shards in '", options_.folder, "'",
                                   source.name.empty() ? "" : concat(", domain '", source.name, "',"));
  const auto weight = options_.weights.find(source.name);
  const bool left_out = weight != options_.weights.end() && weight->second == 0;
  DLCM_CHECK_INPUT(left_out || domain.documents + domain.duplicate_documents > 0, place,
                   " hold no documents: make them with tokenize, from inputs that hold text");
  DLCM_CHECK_INPUT(left_out || domain.documents > 0, place,
                   " hold only documents that are held out too: make them with tokenize, from other text");
  domain.sections = Sections(domain.shards, options_.context, duplicates);
  domains_.push_back(std::move(domain));
}

void Loader::count_documents(Domain& domain, const std::vector<int64_t>& duplicates) const {
  const ShardReader& shard = domain.shards.back();
  auto duplicate = duplicates.begin();
  for (int64_t document = 0; document < shard.documents(); ++document) {
    const int64_t tokens = shard.document_tokens(document);
    if (duplicate != duplicates.end() && *duplicate == document) {
      ++duplicate;
      ++domain.duplicate_documents;
      domain.duplicate_tokens += tokens;
      domain.duplicates_hash = hash_name(concat(domain.duplicates_hash, " ", shard.content(), " ", document));
      continue;
    }
    ++domain.documents;
    domain.tokens += tokens;
    domain.bytes += shard.document_bytes(document);
    domain.cut_documents += tokens > options_.context ? 1 : 0;
  }
}

// Shares are integers, so that the choice of a domain is exact on every machine. Only a weight of 0 leaves a
// domain out.
void Loader::set_shares(const std::map<std::string, double>& weights) {
  constexpr double kUnits = 4294967296.0;
  double sum = 0;
  for (const auto& [name, weight] : weights) sum += weight;
  for (Domain& domain : domains_) {
    domain.share = domain.tokens;
    if (!weights.empty()) {
      const double weight = weights.at(domain.name);
      domain.share = std::max<int64_t>(weight > 0 ? 1 : 0, std::llround(weight / sum * kUnits));
    }
    share_sum_ += domain.share;
  }
}

int64_t Loader::sum_of(int64_t Domain::*count) const {
  int64_t sum = 0;
  for (const Domain& domain : domains_) sum += domain.*count;
  return sum;
}

int64_t Loader::documents() const {
  return sum_of(&Domain::documents);
}

int64_t Loader::tokens() const {
  return sum_of(&Domain::tokens);
}

int64_t Loader::bytes() const {
  return sum_of(&Domain::bytes);
}

int64_t Loader::duplicate_documents() const {
  return sum_of(&Domain::duplicate_documents);
}

int64_t Loader::duplicate_tokens() const {
  return sum_of(&Domain::duplicate_tokens);
}

int64_t Loader::cut_documents() const {
  return sum_of(&Domain::cut_documents);
}

std::vector<DomainProgress> Loader::progress() const {
  std::vector<DomainProgress> progress;
  for (const Domain& domain : domains_) {
    const bool under_way = current_domain_ == static_cast<int64_t>(progress.size());
    const int64_t tokens = domain.tokens_drawn - (under_way ? current_.end - current_.begin : 0);
    // An epoch gives every token once; a domain that is left out may have none.
    const auto in_epoch = static_cast<double>(std::max<int64_t>(domain.tokens, 1));
    progress.push_back({domain.name, tokens, static_cast<double>(tokens) / in_epoch});
  }
  return progress;
}

// Tells apart what another order of training would come from: tokens and documents, how they lie in shards
// and domains, the tokenizer, what is left out. Not where the text came from.
int64_t Loader::find_fingerprint() const {
  std::string text = concat(vocab_size(), " ", tokenizer());
  for (const Domain& domain : domains_) {
    text += concat("\n", domain.name, " ", domain.tokens);
    if (domain.duplicate_documents > 0) text += concat(" without ", domain.duplicates_hash);
    for (const ShardReader& shard : domain.shards) {
      text += concat(" ", shard.documents(), " ", shard.content());
    }
  }
  return static_cast<int64_t>(hash_name(text) >> 1);
}

Section Loader::section(const Domain& domain, int64_t drawn) const {
  const int64_t n = domain.sections.count();
  const uint64_t index = permuted(domain.order_seed, static_cast<uint64_t>(drawn / n),
                                  static_cast<uint64_t>(drawn % n), static_cast<uint64_t>(n));
  return domain.sections.at(domain.shards, static_cast<int64_t>(index));
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

void Loader::begin_section() {
  const size_t index = furthest_behind();
  Domain& domain = domains_[index];
  current_ = section(domain, domain.sections_drawn);
  current_domain_ = static_cast<int64_t>(index);
  ++domain.sections_drawn;
  domain.tokens_drawn += current_.end - current_.begin;
}

std::vector<Piece> Loader::next_step() {
  std::vector<Piece> pieces;
  int64_t left = options_.batch_tokens;
  while (left > 0) {
    if (current_domain_ < 0) begin_section();
    const ShardReader& shard = domains_[static_cast<size_t>(current_domain_)].shards[current_.shard];
    const int64_t end = std::min(current_.end, current_.begin + left);
    pieces.push_back(read_piece(shard, current_.document, current_.begin, end));
    pieces.back().sample = pieces_++;
    left -= end - current_.begin;
    current_.begin = end;
    if (end == current_.end) current_domain_ = -1;
  }
  return pieces;
}

std::vector<int64_t> Loader::cursor() const {
  std::vector<int64_t> cursor = {kCursorVersion, fingerprint_,    options_.seed,
                                 pieces_,        current_domain_, current_domain_ < 0 ? 0 : current_.begin};
  for (const Domain& domain : domains_) {
    cursor.push_back(domain.sections_drawn);
    cursor.push_back(domain.tokens_drawn);
  }
  return cursor;
}

void Loader::seek(const std::vector<int64_t>& cursor) {
  DLCM_CHECK_INPUT(cursor.size() >= kCursorHead && cursor[0] == kCursorVersion,
                   "the checkpoint's position in the data (attribute 'loader_cursor') ",
                   cursor.size() < kCursorHead
                       ? concat("has ", cursor.size(), " numbers, expected ", kCursorHead, " or more")
                       : concat("has version ", cursor[0], ", expected version ", kCursorVersion),
                   ": resume with the program that wrote the checkpoint");
  DLCM_CHECK_INPUT(cursor[1] == fingerprint_ && cursor.size() == kCursorHead + 2 * domains_.size(),
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
  for (size_t i = 0; i < domains_.size(); ++i) {
    domains_[i].sections_drawn = cursor[kCursorHead + 2 * i];
    domains_[i].tokens_drawn = cursor[kCursorHead + 2 * i + 1];
  }
  if (current_domain_ < 0) return;
  const Domain& domain = domains_[static_cast<size_t>(current_domain_)];
  DLCM_CHECK_INPUT(domain.sections_drawn > 0, kImpossiblePosition);
  current_ = section(domain, domain.sections_drawn - 1);
  DLCM_CHECK_INPUT(cursor[5] >= current_.begin && cursor[5] < current_.end, kImpossiblePosition);
  current_.begin = cursor[5];
}

}  // namespace dlcm::data
