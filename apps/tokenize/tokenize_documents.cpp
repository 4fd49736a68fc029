#include "apps/tokenize/tokenize_documents.h"

#include <filesystem>
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
  DLCM_CHECK_INPUT(counts.documents > before.documents, place,
                   counts.empty_documents > before.empty_documents ? "only empty" : "no", " documents in ",
                   source_text(domain.inputs));
  DLCM_CHECK_INPUT(shards.train().documents > 0, place, "the held-out share of ", options.heldout_share,
                   " took all ", shards.heldout().documents,
                   " documents and left none to train on: give more documents or a smaller --heldout");
}

// A folder holds shards itself or in its domains, never both: train would refuse it. --overwrite replaces
// shards of the same layout alone, so those of the other one must go first.
void require_same_layout(const TokenizeOptions& options) {
  std::error_code error;
  if (!std::filesystem::is_directory(options.output, error)) return;
  const bool plain = options.domains[0].name.empty();
  for (const char* kind : {"train", "heldout"}) {
    std::vector<std::string> other;
    if (plain) {
      for (const auto& entry : std::filesystem::directory_iterator(options.output)) {
        if (!other.empty()) break;
        if (entry.is_directory()) other = data::shard_paths(entry.path().string(), kind);
      }
    } else {
      other = data::shard_paths(options.output, kind);
    }
    DLCM_CHECK_INPUT(other.empty(), "'", options.output, "' holds shards ",
                     plain ? "of a domain" : "without domains", " already ('", other[0], "'), and ",
                     plain ? "others" : "domains",
                     " cannot lie beside them: remove them, or choose another --output");
  }
}

}  // namespace

TokenizeCounts tokenize_documents(const TokenizeOptions& options, const data::Tokenizer& tokenizer,
                                  const std::function<void(const TokenizeCounts&)>& progress) {
  // All inputs are looked for, and all folders checked, before any work is done.
  for (const TokenizeDomain& domain : options.domains) {
    for (const std::string& input : domain.inputs) data::input_files(input);
  }
  require_same_layout(options);
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
  for (const auto& set : sets) set->publish();
  return counts;
}

}  // namespace dlcm::apps
