#include "apps/tokenize/tokenize_documents.h"

#include <filesystem>
#include <future>
#include <map>
#include <memory>

#include "apps/tokenize/ordered_stages.h"
#include "apps/tokenize/shard_set.h"
#include "tensor/check.h"
#include "tensor/random.h"

namespace dlcm::apps {
namespace {

// A block of the input on its way to the shards.
struct Encoded {
  struct Document {
    int64_t tokens;  // those of the block's that are its, begin and end included
    int64_t bytes;
    bool heldout;
  };
  data::InputBlock block;
  int64_t files = 0;  // opened so far
  data::BlockReader reader;
  std::vector<int32_t> tokens;
  std::vector<Document> documents;  // of a text, one: it or its part
  int64_t empty_documents = 0;
};

// Of one domain: reads, encodes, writes.
class DomainTokenizer {
 public:
  DomainTokenizer(const TokenizeOptions& options, const TokenizeDomain& domain,
                  const data::Tokenizer& tokenizer, ShardSet& shards, TokenizeCounts& counts,
                  const std::function<void(const TokenizeCounts&)>& progress)
      : share_(options.heldout_share),
        tokenizer_(tokenizer),
        source_(domain.inputs, options.format,
                [&tokenizer](std::string_view text, size_t from) { return tokenizer.last_cut(text, from); }),
        shards_(shards),
        counts_(counts),
        before_(counts),
        progress_(progress) {}

  void run() {
    OrderedStages<Encoded>({[this](Encoded& item) { return read(item); },
                            [this](Encoded& item) { encode(item); }, [this](Encoded& item) { write(item); }})
        .run();
    counts_.files = before_.files + source_.files();
  }

 private:
  bool read(Encoded& item) {
    const bool more = source_.next_block(item.block);
    item.files = source_.files();
    return more;
  }

  void encode(Encoded& item) const;
  void write(const Encoded& item);
  void write_part(const Encoded& item);
  void count(const Encoded::Document& document);

  double share_;
  const data::Tokenizer& tokenizer_;
  data::DocumentSource source_;
  ShardSet& shards_;
  TokenizeCounts& counts_;
  TokenizeCounts before_;
  const std::function<void(const TokenizeCounts&)>& progress_;
  // Of a text in parts, up to the one that was written last.
  Encoded::Document whole_{};
  uint64_t hash_ = kEmptyNameHash;
};

void DomainTokenizer::encode(Encoded& item) const {
  item.tokens.clear();
  item.documents.clear();
  const data::InputBlock& block = item.block;
  item.empty_documents = item.reader.read(block, [&](std::string_view text) {
    const size_t before = item.tokens.size();
    if (block.begins) item.tokens.push_back(tokenizer_.begin_id());
    tokenizer_.encode(text, item.tokens);
    if (block.ends) item.tokens.push_back(tokenizer_.end_id());
    const bool whole = block.begins && block.ends;  // else the hash of all parts decides
    item.documents.push_back({static_cast<int64_t>(item.tokens.size() - before),
                              static_cast<int64_t>(text.size()),
                              whole && share_ > 0 && is_heldout(text, share_)});
  });
}

void DomainTokenizer::count(const Encoded::Document& document) {
  ++counts_.documents;
  counts_.tokens += document.tokens;
  counts_.bytes += document.bytes;
  counts_.heldout_documents += document.heldout;
  counts_.heldout_tokens += document.heldout ? document.tokens : 0;
}

void DomainTokenizer::write_part(const Encoded& item) {
  if (item.block.begins) {
    whole_ = {};
    hash_ = kEmptyNameHash;
  }
  shards_.add_part(item.tokens);
  whole_.tokens += static_cast<int64_t>(item.tokens.size());
  whole_.bytes += static_cast<int64_t>(item.block.size);
  if (share_ > 0) hash_ = hash_name(item.block.bytes(), hash_);
  if (!item.block.ends) return;
  whole_.heldout = share_ > 0 && is_heldout_hash(hash_, share_);
  shards_.end_document(whole_.bytes, whole_.heldout);
  count(whole_);
}

void DomainTokenizer::write(const Encoded& item) {
  if (item.block.begins && item.block.ends) {
    std::span<const int32_t> left = item.tokens;
    for (const Encoded::Document& document : item.documents) {
      const auto tokens = static_cast<size_t>(document.tokens);
      shards_.add(left.first(tokens), document.bytes, document.heldout);
      left = left.subspan(tokens);
      count(document);
    }
  } else {
    write_part(item);
  }
  counts_.empty_documents += item.empty_documents;
  counts_.files = before_.files + item.files;
  TokenizeCounts shown = counts_;
  if (!item.block.ends) shown.tokens += whole_.tokens;  // of the document that goes on
  progress_(shown);
}

// For people: the inputs as they were named.
std::string source_text(const std::vector<std::string>& inputs) {
  constexpr size_t kLongest = 1000;
  std::string text;
  for (const std::string& input : inputs) {
    if (text.size() > kLongest) return text + " ...";
    text += concat(text.empty() ? "" : " ", input);
  }
  return text;
}

void tokenize_domain(const TokenizeOptions& options, const TokenizeDomain& domain,
                     const data::Tokenizer& tokenizer, ShardSet& shards, TokenizeCounts& counts,
                     const std::function<void(const TokenizeCounts&)>& progress) {
  const TokenizeCounts before = counts;
  DomainTokenizer(options, domain, tokenizer, shards, counts, progress).run();
  const std::string place = domain.name.empty() ? "" : "domain '" + domain.name + "': ";
  const int64_t empty = counts.empty_documents - before.empty_documents;
  DLCM_CHECK_INPUT(counts.documents > before.documents, place, "there is no text in ",
                   source_text(domain.inputs), " (files read: ", counts.files - before.files,
                   ", empty documents: ", empty, "): give inputs that hold text");
  DLCM_CHECK_INPUT(shards.train().documents > 0, place, "the held-out share of ", options.heldout_share,
                   " took all ", shards.heldout().documents,
                   " documents and left none to train on: give more documents or a smaller --heldout");
}

// A shard in the folder itself, complete or not; empty where there is none.
std::string shard_in(const std::string& folder) {
  for (const char* kind : {"train", "heldout"}) {
    const std::vector<std::string> paths = data::shard_paths(folder, kind);
    if (!paths.empty()) return paths[0];
  }
  return data::is_incomplete(folder) ? (std::filesystem::path(folder) / data::kIncompleteMark).string() : "";
}

// The folders in the output that hold shards, each with one of them; sorted.
std::map<std::string, std::string> folders_with_shards(const std::string& output) {
  std::map<std::string, std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator(output)) {
    if (!entry.is_directory()) continue;
    const std::string shard = shard_in(entry.path().string());
    if (!shard.empty()) found[entry.path().filename().string()] = shard;
  }
  return found;
}

// train reads all shards of a folder: nothing may stay among them that this run does not replace. A folder
// holds shards itself or in its domains, never both; and where all is to be replaced, no other domains.
void require_no_others(const TokenizeOptions& options) {
  std::error_code error;
  if (!std::filesystem::is_directory(options.output, error)) return;
  constexpr char kRemedy[] = ": remove them, or choose another --output";
  std::map<std::string, std::string> domains = folders_with_shards(options.output);
  if (options.domains[0].name.empty()) {
    DLCM_CHECK_INPUT(domains.empty(), "'", options.output, "' holds shards of a domain already ('",
                     domains.begin()->second, "'), and others cannot lie beside them", kRemedy);
    return;
  }
  const std::string plain = shard_in(options.output);
  DLCM_CHECK_INPUT(plain.empty(), "'", options.output, "' holds shards without domains already ('", plain,
                   "'), and domains cannot lie beside them", kRemedy);
  if (!options.overwrite) return;
  for (const TokenizeDomain& domain : options.domains) domains.erase(domain.name);
  std::string others;
  for (const auto& [name, shard] : domains) {
    const std::string folder = (std::filesystem::path(options.output) / name).string();
    others += concat(others.empty() ? "'" : ", '", folder, "'");
  }
  DLCM_CHECK_INPUT(others.empty(), "--overwrite: ", others, domains.size() == 1 ? " holds" : " hold",
                   " shards of domains that are not given, which train "
                   "would mix in",
                   kRemedy);
}

}  // namespace

TokenizeCounts tokenize_documents(const TokenizeOptions& options, const data::Tokenizer& tokenizer,
                                  const std::function<void(const TokenizeCounts&)>& progress) {
  // All inputs are looked for, and all folders checked, before any work is done.
  for (const TokenizeDomain& domain : options.domains) {
    for (const std::string& input : domain.inputs) data::input_files(input);
  }
  require_no_others(options);
  std::vector<std::unique_ptr<ShardSet>> sets;
  for (const TokenizeDomain& domain : options.domains) {
    const data::ShardHeader header{tokenizer.vocab_size(), tokenizer.identity(), source_text(domain.inputs)};
    const std::string folder = (std::filesystem::path(options.output) / domain.name).string();
    sets.push_back(std::make_unique<ShardSet>(domain.name.empty() ? options.output : folder, header,
                                              options.shard_tokens, options.overwrite));
  }
  // The disk's share of it passes while texts are encoded.
  std::future<data::TokenizerCopies> copies = std::async(
      std::launch::async, [&] { return data::TokenizerCopies(options.tokenizer, options.output); });
  TokenizeCounts counts;
  for (size_t i = 0; i < sets.size(); ++i) {
    tokenize_domain(options, options.domains[i], tokenizer, *sets[i], counts, progress);
    sets[i]->finish();
  }
  data::TokenizerCopies tokenizer_copies = copies.get();
  for (const auto& set : sets) set->mark_incomplete();
  tokenizer_copies.publish();
  data::sync_folder(options.output);
  for (const auto& set : sets) set->publish();
  for (const auto& set : sets) set->mark_complete();
  return counts;
}

}  // namespace dlcm::apps
