// evaluate: how well a trained model predicts held-out text.
#include "apps/evaluation/evaluate.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <optional>

#include <unistd.h>

#include "apps/common/command_line.h"
#include "apps/common/input_file.h"
#include "apps/common/json.h"
#include "apps/common/loaded_model.h"
#include "apps/common/output_file.h"
#include "apps/common/program.h"
#include "apps/evaluation/dump.h"

namespace dlcm::apps {
namespace {

constexpr char kDescription[] =
    "Measures how well a trained model predicts text: loss, bits per byte, and how it falls into concepts, "
    "with\n"
    "boundaries thresholded as in generation.";
constexpr char kExamples[] =
    "  evaluate --checkpoint runs/first --data shards\n"
    "  evaluate --checkpoint runs/first --data shards/heldout-00000.h5 --max-tokens 100000\n"
    "  evaluate --checkpoint runs/first/checkpoints/step-00001000.h5 --data shards --dump tokens.h5 "
    "--logits\n\n"
    "The last line of standard output is one JSON object: loss (nats per predicted token), bits_per_byte, "
    "tokens\n"
    "(predicted), bytes, tokens_per_concept, boundary_rate (F), boundary_mean (G); the last three are 0 of "
    "a\n"
    "transformer. Where the shards are in folders of domains, also domains: the same by name. The dump holds "
    "/tokens, /cu_seqlens, /loss (NaN where nothing is predicted),\n"
    "/boundary_probability, /boundary (0 of a transformer) and, with --logits, /logits.\nExit code: "
    "0, 1 (the work failed), 2 (bad input).";

struct CommandLine {
  std::string checkpoint;
  std::string data;
  std::optional<std::string> dtype;
  std::optional<int64_t> max_tokens;
  std::string dump;
  bool logits = false;
};

std::optional<int> read_command_line(int argc, char** argv, CommandLine& line) {
  CommandLineParser parser("evaluate", kDescription, kExamples);
  add_checkpoint(parser, line.checkpoint);
  parser.add_input("--data", line.data, "SHARD.h5|DIR",
                   "A shard: all of its documents; a folder: its heldout-*.h5, domains too; - reads a shard "
                   "from standard input",
                   Presence::required);
  parser.add_whole_number(
      "--max-tokens", line.max_tokens, {.least = 1},
      "Tokens to read, at most (but at least one to predict of each domain); default: all");
  parser.add_text("--dtype", line.dtype, "f32|bf16",
                  "Of matrix products; default: the one the model was trained in");
  parser.add_output("--dump", line.dump, "FILE.h5",
                    "Write what was predicted, token by token, to this HDF5 file");
  parser.add_flag("--logits", line.logits,
                  "Write all logits too, 4 bytes a token and word of the vocabulary");
  if (const auto end = parser.read(argc, argv)) return end;
  DLCM_CHECK_INPUT(!line.logits || !line.dump.empty(), "--logits needs --dump FILE.h5");
  require_one_standard_input({{"--checkpoint", line.checkpoint}, {"--data", line.data}});
  return std::nullopt;
}

// The files that are read.
std::vector<std::string> inputs_of(const std::string& checkpoint, const std::string& source) {
  std::vector<std::string> inputs = {checkpoint};
  if (std::filesystem::is_directory(source)) {
    for (const data::ShardDomain& domain : data::shard_domains(source, "heldout")) {
      inputs.insert(inputs.end(), domain.paths.begin(), domain.paths.end());
    }
  } else {
    inputs.push_back(source);
  }
  return inputs;
}

// On a terminal, how much has been read.
class Progress {
 public:
  explicit Progress(int64_t all) : all_(all), terminal_(isatty(STDERR_FILENO) == 1) {}
  void add(int64_t tokens) {
    read_ += tokens;
    if (!terminal_) return;
    std::cerr << "\r" << read_ << " of " << all_ << " tokens" << (read_ == all_ ? "\n" : "") << std::flush;
  }

 private:
  int64_t all_ = 0;
  int64_t read_ = 0;
  bool terminal_ = false;
};

// Of a folder that has weights alone, as of a random model.
void note_unknown_tokenizer(const LoadedModel& loaded, const std::string& data_name) {
  if (!loaded.tokenizers().empty()) return;
  print_error("evaluate", concat("note: '", loaded.path, "' has no ", data::kTokenizerFile,
                                 ": that the ids of '", data_name, "' are its own is taken for granted"));
}

void warn_of_leak(const ModelConfig& model) {
  const bool leaks =
      model.kind == ModelKind::dlcm && model.cross_attention.visibility == Visibility::containing;
  if (!leaks) return;
  std::cerr
      << "evaluate: warning: model.cross_attention.visibility = \"containing\" shows tokens the concept that "
         "holds them, and so what is to be predicted: the loss is not that of a language model\n";
}

JsonObject json_of_numbers(const EvaluationNumbers& result) {
  JsonObject object;
  object.add("loss", result.loss);
  object.add("bits_per_byte", result.bits_per_byte);
  object.add("tokens", result.tokens);
  object.add("bytes", result.bytes);
  object.add("tokens_per_concept", result.tokens_per_concept);
  object.add("boundary_rate", result.boundary_rate);
  object.add("boundary_mean", result.boundary_mean);
  return object;
}

std::string json_of(const EvaluationResult& result) {
  JsonObject object = json_of_numbers(result);
  JsonObject domains;
  for (const auto& [name, numbers] : result.domains) domains.add_json(name, json_of_numbers(numbers).text());
  if (!result.domains.empty()) object.add_json("domains", domains.text());
  return object.text();
}

EvaluationResult run(const LoadedModel& loaded, data::HeldoutReader& reader, const CommandLine& line,
                     const InputFile& data) {
  std::optional<EvaluationDump> dump;
  if (!line.dump.empty()) {
    require_replaceable("--dump", line.dump, inputs_of(loaded.path, data.path()),
                        {"a dump of evaluate", is_evaluation_dump});
    dump.emplace(line.dump, *loaded.model, line.logits ? DumpLogits::yes : DumpLogits::no,
                 DumpSources{loaded.path, data.name()});
  }
  Progress progress(reader.tokens());
  const EvaluationResult result = evaluate(*loaded.model, reader, [&](const EvaluatedBatch& evaluated) {
    if (dump) dump->add(evaluated);
    progress.add(evaluated.batch.token_count());
  });
  if (dump) dump->close();
  return result;
}

int evaluate_program(int argc, char** argv) {
  CommandLine line;
  if (const auto end = read_command_line(argc, argv, line)) return *end;
  const LoadedModel loaded = load_model(line.checkpoint);
  loaded.model->round_operands(dtype_option(line.dtype, loaded.config.train.dtype));
  const TrainConfig& train = loaded.config.train;
  const InputFile data(line.data);
  EvaluationResult result;
  data.use([&](const std::string& path) {
    data::HeldoutReader reader(
        {path, train.context, std::max(train.context, train.micro_tokens), line.max_tokens.value_or(-1)});
    require_same_tokenizer(reader, {loaded.config.model.vocab_size, loaded.tokenizers(), loaded.path}, path);
    note_unknown_tokenizer(loaded, data.name());
    warn_of_leak(loaded.config.model);
    result = run(loaded, reader, line, data);
  });
  DLCM_CHECK(std::isfinite(result.loss), "'", loaded.path, "': the loss is ", result.loss,
             ": its training has diverged");
  std::cout << json_of(result) << "\n";
  return 0;
}

}  // namespace
}  // namespace dlcm::apps

int main(int argc, char** argv) {
  return dlcm::apps::run_program("evaluate", [&] { return dlcm::apps::evaluate_program(argc, argv); });
}
