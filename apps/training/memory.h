// Whether a run fits the machine's memory, known before anything is made.
#pragma once

#include <cstdint>
#include <string>

#include "apps/common/config.h"
#include "dlcm/cost.h"

namespace dlcm::apps {

struct TrainingMemory {
  double parameters = 0;      // bytes of weights, their rounded copies, gradients and both moments: exact
  double activations = 0;     // bytes that the largest micro-batch holds at once, about
  double never_together = 0;  // what of gradients and activations is: in a step of one micro-batch the ones
                              // come while the others go
  double peak() const { return parameters + activations - never_together; }
};

// Tokens, at most.
int64_t largest_micro_batch(const TrainConfig& train);

// Of the model whose cost is given, and of the configuration's; nothing is allocated.
TrainingMemory training_memory(const ModelCost& cost, const TrainConfig& train);
TrainingMemory training_memory(const Config& config);

// Bytes that this process may have, swap space included: the machine's or, where that is less, what
// memory.max and memory.swap.max in the folder of a control group allow. Infinite where neither is known.
double available_memory(const std::string& cgroup_folder = "/sys/fs/cgroup");

// Throws Error that says what is needed, what is there and which keys to lower, where training would need
// more than `available` bytes; a tenth of the activations is forgiven, as their bytes are an estimate. Better
// than to find out after minutes of swapping.
void require_training_memory(const Config& config, double available = available_memory());

// Whether weights and moments can be copied beside what training needs.
bool copy_fits(const Config& config, double available = available_memory());

}  // namespace dlcm::apps
