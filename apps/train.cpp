// train: a model from token shards.
#include <iostream>

#include "apps/common/command_line.h"
#include "apps/common/program.h"
#include "apps/training/branch.h"
#include "apps/training/dry_run.h"
#include "apps/training/trainer.h"
#include "tensor/dispatch.h"

namespace dlcm::apps {
namespace {

constexpr char kDescription[] = "Trains a model on token shards (made by tokenize).";
constexpr char kExamples[] =
    "  train --config apps/configs/quickstart.toml --data shards --output runs/first\n"
    "  train --config apps/configs/quickstart.toml --data shards --output runs/first --resume\n"
    "  train --config apps/configs/quickstart.toml --set schedule.steps=2000 --data shards --output "
    "runs/longer\n"
    "  train --config runs/first/config.toml --data shards --output runs/first --branch-decay 600\n"
    "  train --config apps/configs/quickstart.toml --initialize models/qwen3 --data shards --output "
    "runs/tuned\n"
    "  train --config apps/configs/paper-dlcm-2.3b.toml --dry-run\n"
    "  train --config apps/configs/quickstart.toml --data shards --dry-run\n\n"
    "Writes in the output folder: config.toml (complete), metrics.jsonl (one object a step),\n"
    "samples.jsonl (held-out text in concepts), events.out.tfevents.* (TensorBoard), checkpoints/;\n"
    "report draws them as a page.\n"
    "SIGINT, SIGTERM or SIGHUP saves and ends; a second one ends at once.\n"
    "Exit code: 0, 1 (the work failed), 2 (bad input).";

struct CommandLine {
  TrainArguments arguments;
  std::string device = "cpu";
  bool resume = false;
  bool dry_run = false;
  std::optional<int64_t> branch_step;
};

std::optional<int> read_command_line(int argc, char** argv, CommandLine& line) {
  CommandLineParser parser("train", kDescription, kExamples);
  parser.add_input("--config", line.arguments.config_file, "FILE.toml",
                   "Configuration (TOML); - reads standard input", Presence::required);
  parser.add_texts("--set", line.arguments.overrides, "KEY=VALUE",
                   "Overrides one key: key=value; repeatable");
  parser.add_input("--data", line.arguments.data_folder, "DIR", "Folder of the shards");
  parser.add_output("--output", line.arguments.output_folder, "DIR",
                    "Folder that the run writes; made where it is missing");
  parser.add_input(
      "--initialize", line.arguments.initialize, "FILE|RUN_DIR|MODEL_DIR",
      "Begin with the weights of a checkpoint or of a folder of Hugging Face's form; [model] and "
      "[mup] are then its own");
  parser.add_flag("--resume", line.resume,
                  "Go on with the run in the output folder, from its newest checkpoint");
  parser.add_whole_number(
      "--branch-decay", line.branch_step, {.least = 1},
      "Begin the decay at this checkpoint of the run in the output folder, as a run of its own "
      "in its folder branch-STEP");
  parser.add_text("--device", line.device, "cpu|cuda[:N]", "Where the model runs");
  parser.add_flag(
      "--dry-run", line.dry_run,
      "Print parameters, bytes and FLOPs by part, and stop; with --data, of the shards' vocabulary");
  return parser.read(argc, argv);
}

void check_device(const std::string& device) {
  const bool cuda = device == "cuda" || device.starts_with("cuda:");
  DLCM_CHECK_INPUT(device == "cpu" || cuda, "--device '", device, "': expected cpu or cuda[:N]");
  DLCM_CHECK_INPUT(!cuda, "--device ", device, ": models run on the CPU in this version; use --device cpu");
}

int run(int argc, char** argv) {
  CommandLine line;
  if (const std::optional<int> end = read_command_line(argc, argv, line)) return *end;
  check_device(line.device);
  DLCM_CHECK_INPUT(line.arguments.data_folder != "-",
                   "--data '-': expected a folder of shards, which standard input cannot be");
  if (line.dry_run) {
    run_dry(std::cout, line.arguments);
    return 0;
  }
  DLCM_CHECK_INPUT(!line.arguments.data_folder.empty(),
                   "--data is missing: the folder of the shards, see tokenize --help");
  DLCM_CHECK_INPUT(!line.arguments.output_folder.empty(),
                   "--output is missing: the folder that the run writes");
  line.arguments.resume = line.resume ? Resume::yes : Resume::no;
  run_training(line.branch_step ? branch_decay(line.arguments, *line.branch_step) : line.arguments);
  return 0;
}

}  // namespace
}  // namespace dlcm::apps

int main(int argc, char** argv) {
  return dlcm::apps::run_program("train", [&] { return dlcm::apps::run(argc, argv); });
}
