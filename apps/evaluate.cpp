// evaluate: how well a trained model predicts held-out text.
#include "apps/evaluation/evaluate.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include <unistd.h>

#include "apps/common/command_line.h"
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
    "(predicted), bytes, tokens_per_concept, boundary_rate (F), boundary_mean (G); the last three are null "
    "for a\n"
    "transformer. The dump holds /tokens, /cu_seqlens, /loss (NaN where nothing is predicted),\n"
    "/boundary_probability, /boundary and /logits. Exit code: 0, 1 (the work failed), 2 (bad input).";

struct CommandLine {
  std::string checkpoint;
  std::string data;
  int64_t max_tokens = -1;
  std::string dump;
  bool logits = false;
};

std::optional<int> read_command_line(int argc, char** argv, CommandLine& line) {
  CLI::App app(kDescription, "evaluate");
  app.add_option("--checkpoint", line.checkpoint, "A checkpoint, or a run's folder: its newest one")
      ->type_name("FILE|RUN_DIR")
      ->required();
  app.add_option("--data", line.data,
                 "A shard: all of its documents; a folder: its heldout-*.h5, domains too")
      ->type_name("SHARD.h5|DIR")
      ->required();
  const CLI::Option* most =
      add_whole_number(app, "--max-tokens", line.max_tokens,
                       "Tokens to read, at most (but at least one to predict of each domain); default: all");
  app.add_option("--dump", line.dump, "Write what was predicted, token by token, to this HDF5 file")
      ->type_name("FILE.h5");
  app.add_flag("--logits", line.logits, "Write all logits too, 4 bytes a token and word of the vocabulary");
  if (const auto end = parse_command_line(app, kExamples, argc, argv)) return end;
  DLCM_CHECK_INPUT(most->empty() || line.max_tokens >= 1, "--max-tokens = ", line.max_tokens,
                   ": expected a whole number of at least 1");
  DLCM_CHECK_INPUT(!line.logits || !line.dump.empty(), "--logits needs --dump FILE.h5");
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

void warn_of_leak(const ModelConfig& model) {
  const bool leaks =
      model.kind == ModelKind::dlcm && model.cross_attention.visibility == Visibility::containing;
  if (!leaks) return;
  std::cerr
      << "evaluate: warning: model.cross_attention.visibility = \"containing\" shows tokens the concept that "
         "holds them, and so what is to be predicted: the loss is not that of a language model\n";
}

nlohmann::ordered_json to_json(const EvaluationResult& result) {
  nlohmann::ordered_json object;
  object["loss"] = result.loss;
  object["bits_per_byte"] = result.bits_per_byte;
  object["tokens"] = result.tokens;
  object["bytes"] = result.bytes;
  object["tokens_per_concept"] = result.tokens_per_concept;
  object["boundary_rate"] = result.boundary_rate;
  object["boundary_mean"] = result.boundary_mean;
  return object;
}

EvaluationResult run(const LoadedModel& loaded, data::HeldoutReader& reader, const CommandLine& line) {
  std::optional<EvaluationDump> dump;
  if (!line.dump.empty()) {
    require_replaceable("--dump", line.dump, inputs_of(loaded.path, line.data),
                        {"a dump of evaluate", is_evaluation_dump});
    dump.emplace(line.dump, *loaded.model, line.logits ? DumpLogits::yes : DumpLogits::no,
                 DumpSources{loaded.path, line.data});
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
  const TrainConfig& train = loaded.config.train;
  data::HeldoutReader reader(
      {line.data, train.context, std::max(train.context, train.micro_tokens), line.max_tokens});
  require_same_tokenizer(reader, loaded.tokenizer->identity(), loaded.path, line.data);
  warn_of_leak(loaded.config.model);
  const EvaluationResult result = run(loaded, reader, line);
  DLCM_CHECK(std::isfinite(result.loss), "'", loaded.path, "': the loss is ", result.loss,
             ": its training has diverged");
  std::cout << to_json(result).dump() << "\n";
  return 0;
}

}  // namespace
}  // namespace dlcm::apps

int main(int argc, char** argv) {
  return dlcm::apps::run_program("evaluate", [&] { return dlcm::apps::evaluate_program(argc, argv); });
}
