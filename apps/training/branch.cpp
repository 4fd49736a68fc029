#include "apps/training/branch.h"

#include <cmath>
#include <cstdio>
#include <filesystem>

#include "data/atomic_file.h"
#include "data/checkpoint.h"

namespace dlcm::apps {
namespace {

namespace fs = std::filesystem;

std::string branch_folder(const std::string& run_folder, int64_t step) {
  char name[40];
  std::snprintf(name, sizeof(name), "branch-%08lld", static_cast<long long>(step));
  return (fs::path(run_folder) / name).string();
}

int64_t decay_steps(const optim::ScheduleConfig& schedule) {
  return std::llround(schedule.decay_share * static_cast<double>(schedule.steps));
}

void require_stable(const optim::ScheduleConfig& schedule, int64_t step, const char* when) {
  const int64_t end = schedule.steps - decay_steps(schedule);
  DLCM_CHECK_INPUT(step >= schedule.warmup && step <= end, "--branch-decay ", step,
                   ": the rate is constant from step ", schedule.warmup, " (schedule.warmup) to step ", end,
                   ", where the run's own decay begins", when, "; give a checkpoint between them");
}

void begin_branch(const std::string& run_folder, const std::string& branch, int64_t step) {
  const std::string from = data::checkpoint_path(run_folder, step);
  DLCM_CHECK_INPUT(fs::exists(from), "--branch-decay ", step, ": there is no ", from,
                   "; give the step of a checkpoint in that folder");
  const data::CheckpointReader reader(from);
  require_stable(parse_config(reader.header().config, from).config.schedule, step,
                 ", as the checkpoint's own configuration has it");
  std::error_code error;
  fs::create_directories(fs::path(branch) / "checkpoints", error);
  DLCM_CHECK(!error, branch, ": the folder cannot be made: ", error.message());
  data::link_or_copy(from, data::checkpoint_path(branch, step));
  data::link_latest_checkpoint(branch, step);
}

}  // namespace

TrainArguments branch_decay(const TrainArguments& arguments, int64_t step) {
  const optim::ScheduleConfig schedule =
      load_config(arguments.config_file, arguments.overrides).config.schedule;
  const int64_t decay = decay_steps(schedule);
  DLCM_CHECK_INPUT(decay > 0, "--branch-decay ", step, ": schedule.decay_share = ", schedule.decay_share,
                   " of ", schedule.steps, " steps is no step of decay");
  require_stable(schedule, step, "");
  TrainArguments branch = arguments;
  branch.output_folder = branch_folder(arguments.output_folder, step);
  const bool begun = fs::exists(fs::path(branch.output_folder) / "config.toml");
  DLCM_CHECK_INPUT(!begun || arguments.resume == Resume::yes, branch.output_folder,
                   " holds this branch already; go on with it by --resume, or remove it");
  if (!begun) {
    begin_branch(arguments.output_folder, branch.output_folder, step);
    branch.branch_of = arguments.output_folder;
  }
  branch.resume = Resume::yes;
  char share[40];
  std::snprintf(share, sizeof(share), "%.17g",
                static_cast<double>(decay) / static_cast<double>(step + decay));
  branch.overrides.push_back(concat("schedule.steps=", step + decay));
  branch.overrides.push_back(concat("schedule.decay_share=", share));
  return branch;
}

}  // namespace dlcm::apps
