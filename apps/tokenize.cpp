// tokenize: makes token shards of text.
#include <algorithm>
#include <chrono>
#include <iostream>
#include <string_view>

#include <unistd.h>

#include "apps/common/command_line.h"
#include "apps/common/json.h"
#include "apps/common/program.h"
#include "apps/tokenize/progress_line.h"
#include "apps/tokenize/tokenize_documents.h"
#include "apps/tokenize/train_tokenizer.h"
#include "data/tokenizer.h"
#include "tensor/check.h"
#include "tensor/parallel.h"

namespace dlcm::apps {
namespace {

constexpr int64_t kMostThreads = 4096;

using Clock = std::chrono::steady_clock;

constexpr char kDescription[] =
    "Makes token shards (HDF5) of text, for train and evaluate. `tokenize train` makes a tokenizer.json: "
    "see\n"
    "tokenize train --help.\n\n"
    "An INPUT is a text file (one document), JSON Lines (.jsonl, .ndjson, .json: an object with a field "
    "`text` a\n"
    "line, one document each), either plain, gzip or zstd; a folder: all such files below it; or - for "
    "standard input.";
constexpr char kExamples[] =
    "  tokenize --output shards book.txt\n"
    "  tokenize --heldout 0.05 --output shards articles.jsonl.zst more-articles/\n"
    "  tokenize --heldout 0.05 --output shards --domain english=books/ --domain code=sources.jsonl.gz\n"
    "  tokenize --tokenizer tokenizer.json --output shards articles.jsonl.zst\n"
    "  zcat dump.jsonl.gz | tokenize --json-lines --output shards -\n\n"
    "Writes DIR/train-00000.h5 ... and, with --heldout, DIR/heldout-00000.h5 ... (with --domain, in "
    "DIR/NAME).\n"
    "The last line of standard output is one JSON object. Exit code: 0, 1 (the work failed), 2 (bad input).";

struct CommandLine {
  std::vector<std::string> inputs;
  std::vector<std::string> domains;  // NAME=INPUT
  std::optional<int64_t> threads;
  bool json_lines = false;
  TokenizeOptions options;
};

std::optional<int> read_command_line(int argc, char** argv, CommandLine& line) {
  CommandLineParser parser("tokenize", kDescription, kExamples);
  parser.add_text("--tokenizer", line.options.tokenizer, "bytes|FILE",
                  "bytes, or a tokenizer.json: byte-level BPE as of Hugging Face");
  parser.add_number("--heldout", line.options.heldout_share, {0, 1, NumberRange::Excluded::most},
                    "Share of the documents kept for evaluation, at least 0 and below 1, chosen by a hash of "
                    "the text");
  parser.add_whole_number("--shard-tokens", line.options.shard_tokens, {.least = 1},
                          "Tokens a shard may have");
  parser.add_whole_number("--threads", line.threads, {1, kMostThreads}, "Threads; default: one a core");
  parser.add_texts("--domain", line.domains, "NAME=INPUT",
                   "NAME=INPUT: write this input's shards in DIR/NAME; repeatable");
  parser.add_output("--output", line.options.output, "DIR", "Folder of the shards, made where it is missing",
                    Presence::required);
  parser.add_flag("--overwrite", line.options.overwrite,
                  "Replace all shards that are already there; those of other domains must be removed first");
  parser.add_flag("--json-lines", line.json_lines, "Read every input as JSON Lines, whatever its name");
  parser.add_texts("INPUT", line.inputs, "INPUT", "Files, folders or -");
  return parser.read(argc, argv);
}

bool is_domain_name(const std::string& name) {
  const std::string allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
  return !name.empty() && name.find_first_not_of(allowed) == std::string::npos;
}

std::vector<TokenizeDomain> parse_domains(const CommandLine& line) {
  DLCM_CHECK_INPUT(line.inputs.empty() || line.domains.empty(), "give either INPUT or --domain NAME=INPUT: '",
                   line.inputs.empty() ? "" : line.inputs[0], "' belongs to no domain");
  DLCM_CHECK_INPUT(!line.inputs.empty() || !line.domains.empty(), "no INPUT; --help shows examples");
  if (line.domains.empty()) return {{"", line.inputs}};
  std::vector<TokenizeDomain> domains;
  for (const std::string& text : line.domains) {
    const size_t equals = text.find('=');
    const std::string name = text.substr(0, equals);
    DLCM_CHECK_INPUT(equals != std::string::npos && equals + 1 < text.size() && is_domain_name(name),
                     "--domain '", text, "': expected NAME=INPUT, NAME of letters, digits, _ and -");
    auto found =
        std::find_if(domains.begin(), domains.end(), [&](const auto& domain) { return domain.name == name; });
    if (found == domains.end()) found = domains.insert(domains.end(), {name, {}});
    found->inputs.push_back(text.substr(equals + 1));
  }
  return domains;
}

std::string json_of(const TokenizeCounts& counts, double seconds) {
  JsonObject result;
  result.add("documents", counts.documents);
  result.add("tokens", counts.tokens);
  result.add("bytes", counts.bytes);
  result.add("bytes_per_token", static_cast<double>(counts.bytes) / static_cast<double>(counts.tokens));
  result.add("seconds", seconds);
  result.add("heldout_documents", counts.heldout_documents);
  result.add("heldout_tokens", counts.heldout_tokens);
  return result.text();
}

int tokenize(int argc, char** argv) {
  CommandLine line;
  if (const std::optional<int> end = read_command_line(argc, argv, line)) return *end;
  const auto tokenizer = data::load_tokenizer(line.options.tokenizer);
  line.options.domains = parse_domains(line);
  if (line.json_lines) line.options.format = data::InputFormat::json_lines;
  if (line.threads) set_thread_count(static_cast<int>(*line.threads));

  const auto start = Clock::now();
  ProgressLine progress;
  const TokenizeCounts counts = tokenize_documents(line.options, *tokenizer, [&](const TokenizeCounts& now) {
    if (progress.due())
      progress.show(concat(now.files, " files, ", now.documents, " documents, ", now.tokens, " tokens"));
  });
  progress.end();
  if (counts.empty_documents > 0) std::cerr << "skipped " << counts.empty_documents << " empty documents\n";
  if (line.options.heldout_share > 0 && counts.heldout_documents == 0) {
    std::cerr << "no document fell into the held-out share: there are no held-out shards\n";
  }
  std::cout << json_of(counts, std::chrono::duration<double>(Clock::now() - start).count()) << "\n";
  return 0;
}

}  // namespace
}  // namespace dlcm::apps

int main(int argc, char** argv) {
  return dlcm::apps::run_program("tokenize", [&] {
    const bool train = argc > 1 && std::string_view(argv[1]) == "train";
    return train ? dlcm::apps::train_tokenizer(argc - 1, argv + 1) : dlcm::apps::tokenize(argc, argv);
  });
}
