#include "apps/tokenize/train_tokenizer.h"

#include <chrono>
#include <filesystem>
#include <future>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <unistd.h>

#include "apps/common/command_line.h"
#include "apps/common/json.h"
#include "apps/common/output_file.h"
#include "apps/tokenize/progress_line.h"
#include "data/atomic_file.h"
#include "data/bpe/piece_counts.h"
#include "data/bpe/tokenizer_file.h"
#include "data/bpe/trainer.h"
#include "data/bpe/vocabulary.h"
#include "data/document_source.h"
#include "data/tokenizer.h"
#include "tensor/check.h"
#include "tensor/parallel.h"

namespace dlcm::apps {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr int64_t kMostThreads = 4096;
// Documents that are read, then counted together while the next ones are read.
constexpr size_t kGroupBytes = size_t{4} << 20;
constexpr size_t kGroupDocuments = 4096;

constexpr char kDescription[] =
    "Trains a tokenizer on text: byte-level BPE, as a tokenizer.json that tokenize --tokenizer, train and\n"
    "Hugging Face's libraries read, with a tokenizer_config.json beside it.\n\n"
    "An INPUT is a text file (one document), JSON Lines (.jsonl, .ndjson, .json: an object with a field "
    "`text` a\n"
    "line, one document each), either plain, gzip or zstd; a folder: all such files below it; or - for "
    "standard input.";
constexpr char kExamples[] =
    "  tokenize train --vocab-size 8192 book.txt articles.jsonl.zst\n"
    "  tokenize train --vocab-size 32768 --output my-language texts/\n"
    "  tokenize train --vocab-size 16384 --special '<|user|>' --special '<|assistant|>' chats.jsonl\n"
    "  zcat dump.jsonl.gz | tokenize train --vocab-size 32768 --json-lines --output my-language -\n"
    "  tokenize --tokenizer my-language/tokenizer.json --output shards texts/\n\n"
    "Ids are the special tokens <|begin_of_text|>, <|end_of_text|>, <|pad|> and those of --special, then the "
    "256\n"
    "bytes, then the merges. The last line of standard output is one JSON object. Exit code: 0, 1 (the work\n"
    "failed), 2 (bad input). (Text in a file named train is read as ./train.)";

struct Options {
  std::optional<int64_t> vocab_size;
  int64_t min_frequency = 0;
  std::vector<std::string> special;
  std::optional<int64_t> threads;
  std::string output = data::kTokenizerFile;
  bool overwrite = false;
  bool json_lines = false;
  std::vector<std::string> inputs;
};

std::optional<int> read_command_line(int argc, char** argv, Options& options) {
  CommandLineParser parser("tokenize train", kDescription, kExamples);
  parser.add_whole_number("--vocab-size", options.vocab_size, {1, data::kMaxTokenId + 1},
                          "Ids that the tokenizer has, special tokens and bytes included");
  parser.add_output("--output", options.output, "PATH",
                    "A file that ends in .json, or a folder for tokenizer.json; made where it is missing");
  parser.add_texts("--special", options.special, "TEXT",
                   "A special token besides begin, end and pad; repeatable");
  parser.add_whole_number("--min-frequency", options.min_frequency, {.least = 0},
                          "Pairs that occur less often are not merged");
  parser.add_whole_number("--threads", options.threads, {1, kMostThreads}, "Threads; default: one a core");
  parser.add_flag("--overwrite", options.overwrite, "Replace files that are already there");
  parser.add_flag("--json-lines", options.json_lines, "Read every input as JSON Lines, whatever its name");
  parser.add_texts("INPUT", options.inputs, "INPUT", "Files, folders or -");
  return parser.read(argc, argv);
}

data::TrainerOptions trainer_options(const Options& options) {
  DLCM_CHECK_INPUT(options.vocab_size, "--vocab-size is required; --help shows examples");
  data::TrainerOptions result;
  result.vocab_size = *options.vocab_size;
  result.min_frequency = options.min_frequency;
  result.special_tokens = {data::kBeginOfText, data::kEndOfText, data::kPad};
  for (const std::string& token : options.special) result.special_tokens.push_back(token);
  data::check_trainer_options(result);
  return result;
}

// The two files under temporary names: where they cannot be written is known before the work begins.
class Output {
 public:
  explicit Output(const Options& options) {
    std::error_code error;
    fs::path file = options.output;
    if (file.extension() != ".json" || fs::is_directory(file, error)) {
      DLCM_CHECK_INPUT(!fs::exists(file, error) || fs::is_directory(file, error), "--output '",
                       options.output, "' is a file: expected a folder, or a name that ends in .json");
      file /= data::kTokenizerFile;
    }
    const fs::path config = file.parent_path() / data::kTokenizerConfigFile;
    DLCM_CHECK_INPUT(file != config, "--output '", options.output,
                     "' is the name of the file beside a tokenizer.json; give another name");
    for (const fs::path& path : {file, config}) check_replaceable(path.string(), options);
    if (!file.parent_path().empty()) {
      fs::create_directories(file.parent_path(), error);
      DLCM_CHECK(!error, "cannot make the folder '", file.parent_path().string(), "': ", error.message());
    }
    tokenizer_ = std::make_unique<data::AtomicFile>(file.string());
    config_ = std::make_unique<data::AtomicFile>(config.string());
  }

  const std::string& path() const { return tokenizer_->path(); }
  void write(const data::TrainedTokens& trained) {
    tokenizer_->write(data::tokenizer_json(trained));
    config_->write(data::tokenizer_config_json());
    for (const auto& file : {&tokenizer_, &config_}) (*file)->finish();
    for (const auto& file : {&tokenizer_, &config_}) (*file)->publish();
  }

 private:
  static void check_replaceable(const std::string& path, const Options& options) {
    std::error_code error;
    DLCM_CHECK_INPUT(options.overwrite || !fs::exists(fs::symlink_status(path, error)), "'", path,
                     "' is there already: choose another --output, or replace it with --overwrite");
    std::vector<std::string> files;
    for (const std::string& input : options.inputs) {
      const std::vector<std::string> more = data::input_files(input);
      files.insert(files.end(), more.begin(), more.end());
    }
    require_replaceable("--output", path, files, {"a file", [](const std::string&) { return true; }});
  }

  std::unique_ptr<data::AtomicFile> tokenizer_;
  std::unique_ptr<data::AtomicFile> config_;
};

struct TextCounts {
  int64_t documents = 0;
  int64_t bytes = 0;
  int64_t empty_documents = 0;  // skipped
};

std::vector<std::string> read_group(data::DocumentSource& source) {
  std::vector<std::string> texts;
  size_t bytes = 0;
  std::string text;
  while (texts.size() < kGroupDocuments && bytes < kGroupBytes && source.next(text)) {
    bytes += text.size();
    texts.push_back(std::move(text));
  }
  return texts;
}

data::PieceCounts count_pieces(const Options& options, TextCounts& counts, ProgressLine& progress) {
  const auto format = options.json_lines ? data::InputFormat::json_lines : data::InputFormat::by_name;
  data::DocumentSource source(options.inputs, format);
  data::PieceCounter counter;
  const auto reading = thread_count() > 1 ? std::launch::async : std::launch::deferred;
  const auto read = [&source] { return read_group(source); };
  std::vector<std::string> texts = read();
  while (!texts.empty()) {
    std::future<std::vector<std::string>> next = std::async(reading, read);
    counter.add(texts);
    for (const std::string& text : texts) counts.bytes += static_cast<int64_t>(text.size());
    counts.documents += static_cast<int64_t>(texts.size());
    if (progress.due()) progress.show(concat(counts.documents, " documents, ", counts.bytes, " bytes read"));
    texts = next.get();
  }
  counts.empty_documents = source.empty_documents();
  DLCM_CHECK_INPUT(counts.documents > 0, "there is no text in what was given (files read: ", source.files(),
                   ", empty documents: ", counts.empty_documents, "): give inputs that hold text");
  return counter.finish();
}

std::string json_of(const TextCounts& text, const data::PieceCounts& pieces,
                    const data::TrainedTokens& trained, double seconds) {
  const auto tokens = static_cast<int64_t>(trained.text_tokens);
  JsonObject result;
  result.add("documents", text.documents);
  result.add("bytes", text.bytes);
  result.add("pieces", static_cast<int64_t>(pieces.pieces()));
  result.add("distinct_pieces", static_cast<int64_t>(pieces.distinct()));
  result.add("vocab_size", static_cast<int64_t>(trained.tokens.size()));
  result.add("merges", static_cast<int64_t>(trained.merges.size()));
  result.add("tokens", tokens);
  result.add("bytes_per_token", static_cast<double>(text.bytes) / static_cast<double>(tokens));
  result.add("seconds", seconds);
  return result.text();
}

}  // namespace

int train_tokenizer(int argc, char** argv) {
  Options options;
  if (const std::optional<int> end = read_command_line(argc, argv, options)) return *end;
  const data::TrainerOptions training = trainer_options(options);
  DLCM_CHECK_INPUT(!options.inputs.empty(), "no INPUT; --help shows examples");
  if (options.threads) set_thread_count(static_cast<int>(*options.threads));

  const auto start = Clock::now();
  Output output(options);
  ProgressLine progress;
  TextCounts text;
  const data::PieceCounts pieces = count_pieces(options, text, progress);
  const data::TrainedTokens trained = data::train_byte_pairs(pieces, training, [&](int64_t tokens) {
    if (progress.due()) progress.show(concat(tokens, " of ", training.vocab_size, " tokens"));
  });
  output.write(trained);
  progress.end();
  if (text.empty_documents > 0) std::cerr << "skipped " << text.empty_documents << " empty documents\n";
  if (static_cast<int64_t>(trained.tokens.size()) < training.vocab_size) {
    std::cerr << "the text has no more pairs to merge: '" << output.path() << "' has "
              << trained.tokens.size() << " ids, not " << training.vocab_size << "\n";
  }
  std::cout << json_of(text, pieces, trained, std::chrono::duration<double>(Clock::now() - start).count())
            << "\n";
  return 0;
}

}  // namespace dlcm::apps
