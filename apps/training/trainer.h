// A training run: model, optimizer, order of the data, and everything that is written while it goes on.
#pragma once

#include <memory>
#include <string>

#include "apps/common/config.h"
#include "apps/training/memory.h"
#include "apps/training/run_input.h"
#include "data/checkpoint.h"
#include "data/loader.h"
#include "dlcm/training_pass.h"
#include "optim/adamw.h"

namespace dlcm::apps {

// What one optimizer step did; one line of metrics.jsonl.
struct StepMetrics {
  PassResult pass;
  double gradient_norm = 0;  // before clipping
  double factor = 0;         // of the schedule
  double alpha = 0;          // sharpening temperature
};

// Model and optimizer of a run, and how one step changes them. Everything scheduled is a pure function of the
// step.
class Trainer {
 public:
  // A new model with initial values from the seed. Throws as require_training_memory does.
  explicit Trainer(const Config& config);
  // A model of config.model that has its values.
  Trainer(const Config& config, std::unique_ptr<LanguageModel> model);

  // The optimizer step number `step`, counted from 0, on the step's micro-batches. `boundaries`, if not
  // empty, gives each batch's decisions. Throws NotFiniteError where loss, boundary probability or gradient
  // norm is not finite, before any weight is changed.
  StepMetrics step(int64_t step, const std::vector<PackedBatch>& batches,
                   const std::vector<Tensor>& boundaries = {});

  LanguageModel& model() { return *model_; }
  const Config& config() const { return config_; }
  optim::AdamW& optimizer() { return *optimizer_; }

  // Weights and moments, sharing their storage.
  data::Checkpoint snapshot() const;
  // Reads them back from a checkpoint of a model of the same configuration.
  void restore(const data::CheckpointReader& checkpoint);

 private:
  Config config_;
  std::unique_ptr<LanguageModel> model_;
  std::unique_ptr<optim::AdamW> optimizer_;
};

// A trainer whose model has the values of config.train.initialize. Throws InputError where that is not a
// model of config.model any more.
std::unique_ptr<Trainer> trainer_of_source(const Config& config);

// The program: trains until the schedule ends or a signal asks to stop; saves then and every checkpoint_every
// steps; a run that begins with the weights of a source also before its first. What is not finite is never
// saved: Error names the cause and the checkpoint to go on from. A signal before the first step ends it with
// nothing written but the folder itself.
void run_training(const TrainArguments& arguments);

}  // namespace dlcm::apps
