#include "apps/tokenize/tokenize_documents.h"

#include <filesystem>
#include <map>
#include <memory>

#include "apps/tokenize/shard_set.h"
#include "tensor/check.h"
#include "tensor/parallel.h"

namespace dlcm::apps {
namespace {

// Documents that are read, then encoded together.
constexpr size_t kGroupBytes = size_t{16} << 20;
constexpr size_t kGroupDocuments = 4096;

struct Document {
  std::string text;
  std::vector<int32_t> tokens;
  bool heldout = false;
};

bool read_group(data::DocumentSource& source, std::vector<Document>& group) {
  group.clear();
  size_t bytes = 0;
  std::string text;
  while (group.size() < kGroupDocuments && bytes < kGroupBytes && source.next(text)) {
    bytes += text.size();
    group.push_back({std::move(text), {}, false});
    text = {};
  }
  return !group.empty();
}

void encode_group(std::vector<Document>& group, const data::Tokenizer& tokenizer, double heldout_share) {
  parallel_for(static_cast<int64_t>(group.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      Document& document = group[static_cast<size_t>(i)];
      document.tokens.push_back(tokenizer.begin_id());
      tokenizer.encode(document.text, document.tokens);
      document.tokens.push_back(tokenizer.end_id());
      document.heldout = heldout_share > 0 && is_heldout(document.text, heldout_share);
    }
  });
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
  data::DocumentSource source(domain.inputs, options.format);
  std::vector<Document> group;
  const TokenizeCounts before = counts;
  while (read_group(source, group)) {
    encode_group(group, tokenizer, options.heldout_share);
    for (const Document& document : group) {
      const auto bytes = static_cast<int64_t>(document.text.size());
      const auto tokens = static_cast<int64_t>(document.tokens.size());
      shards.add(document.tokens, bytes, document.heldout);
      ++counts.documents;
      counts.tokens += tokens;
      counts.bytes += bytes;
      counts.heldout_documents += document.heldout;
      counts.heldout_tokens += document.heldout ? tokens : 0;
    }
    counts.files = before.files + source.files();
    counts.empty_documents = before.empty_documents + source.empty_documents();
    progress(counts);
  }
  counts.empty_documents = before.empty_documents + source.empty_documents();
  const std::string place = domain.name.empty() ? "" : "domain '" + domain.name + "': ";
  const int64_t empty = source.empty_documents();
  DLCM_CHECK_INPUT(counts.documents > before.documents, place, "there is no text in ",
                   source_text(domain.inputs), " (files read: ", source.files(), ", empty documents: ", empty,
                   "): give inputs that hold text");
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
  TokenizeCounts counts;
  for (size_t i = 0; i < sets.size(); ++i) {
    tokenize_domain(options, options.domains[i], tokenizer, *sets[i], counts, progress);
    sets[i]->finish();
  }
  for (const auto& set : sets) set->mark_incomplete();
  data::copy_tokenizer(options.tokenizer, options.output);
  for (const auto& set : sets) set->publish();
  for (const auto& set : sets) set->mark_complete();
  return counts;
}

}  // namespace dlcm::apps
