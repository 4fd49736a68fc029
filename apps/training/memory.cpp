#include "apps/training/memory.h"

#include <algorithm>
#include <cmath>
#include <fstream>

#include <sys/sysinfo.h>

namespace dlcm::apps {
namespace {

constexpr double kFloatBytes = 4;
constexpr double kOperandBytes = 2;
constexpr double kSureOfActivations = 0.9;

// The file's number; infinite where it says "max" or is not there.
double limit_in(const std::string& path) {
  std::ifstream file(path);
  double bytes = 0;
  return file >> bytes ? bytes : INFINITY;
}

std::string remedy_of(const TrainConfig& train) {
  std::string text = "lower train.micro_tokens = " + std::to_string(train.micro_tokens);
  if (std::min(train.context, train.batch_tokens) == train.micro_tokens)
    text += " together with train.context = " + std::to_string(train.context);
  if (train.recompute == nn::Recompute::none) text += ", or set train.recompute = \"block\"";
  return text;
}

}  // namespace

int64_t largest_micro_batch(const TrainConfig& train) {
  return std::min(train.micro_tokens, train.batch_tokens);
}

TrainingMemory training_memory(const ModelCost& cost, const TrainConfig& train) {
  const double gradients = kFloatBytes * static_cast<double>(cost.parameters);
  TrainingMemory memory;
  memory.parameters = 4 * gradients + kOperandBytes * static_cast<double>(cost.operands);
  memory.activations = cost.activation_bytes_per_token * static_cast<double>(largest_micro_batch(train));
  if (train.batch_tokens <= train.micro_tokens) {
    memory.never_together = std::min(gradients, memory.activations);
  }
  return memory;
}

TrainingMemory training_memory(const Config& config) {
  const std::unique_ptr<LanguageModel> model = make_model(config.model);
  return training_memory(cost_of(*model, config.train.context, config.train.recompute, config.train.dtype),
                         config.train);
}

double available_memory(const std::string& cgroup_folder) {
  double memory = INFINITY, swap = 0;
  struct sysinfo machine {};
  if (sysinfo(&machine) == 0) {
    memory = static_cast<double>(machine.totalram) * machine.mem_unit;
    swap = static_cast<double>(machine.totalswap) * machine.mem_unit;
  }
  return std::min(memory, limit_in(cgroup_folder + "/memory.max")) +
         std::min(swap, limit_in(cgroup_folder + "/memory.swap.max"));
}

void require_training_memory(const Config& config, double available) {
  const TrainingMemory needed = training_memory(config);
  DLCM_CHECK(needed.parameters <= available, "weights, gradients and moments need ", needed.parameters * 1e-9,
             " GB, this machine has ", available * 1e-9,
             " GB of memory; make the model smaller (train --dry-run shows its parts)");
  DLCM_CHECK(needed.peak() - (1 - kSureOfActivations) * needed.activations <= available,
             "training needs about ", needed.peak() * 1e-9, " GB (", needed.activations * 1e-9,
             " GB of it activations), this machine has ", available * 1e-9, " GB of memory; ",
             remedy_of(config.train));
}

bool copy_fits(const Config& config, double available) {
  const std::unique_ptr<LanguageModel> model = make_model(config.model);
  const ModelCost cost = cost_of(*model, config.train.context, config.train.recompute, config.train.dtype);
  const double copy = 3 * kFloatBytes * static_cast<double>(cost.parameters);
  return training_memory(cost, config.train).peak() + copy <= available;
}

}  // namespace dlcm::apps
