#include "apps/training/trainer.h"

#include <cmath>

#include "apps/common/loaded_model.h"
#include "dlcm/not_finite.h"
#include "optim/schedule.h"

namespace dlcm::apps {
namespace {

std::unique_ptr<LanguageModel> initial_model(const Config& config) {
  require_training_memory(config);
  std::unique_ptr<LanguageModel> model = make_model(config.model);
  model->initialize(static_cast<uint64_t>(config.train.seed));
  return model;
}

}  // namespace

Trainer::Trainer(const Config& config) : Trainer(config, initial_model(config)) {}

Trainer::Trainer(const Config& config, std::unique_ptr<LanguageModel> model)
    : config_(config), model_(std::move(model)) {
  const optim::WidthMultipliers multipliers = {config.model.token_multiplier(),
                                               config.model.concept_multiplier()};
  optimizer_ = std::make_unique<optim::AdamW>(model_->parameters(), config.optimizer, multipliers);
  model_->round_operands(config.train.dtype);
}

std::unique_ptr<Trainer> trainer_of_source(const Config& config) {
  const std::string& source = config.train.initialize;
  LoadedModel loaded = load_model(source);
  Config found = config;
  found.model = loaded.config.model;
  DLCM_CHECK_INPUT(to_toml(found) == to_toml(config), "train.initialize = \"", source,
                   "\": it is no longer the model that the run is to begin with");
  return std::make_unique<Trainer>(config, std::move(loaded.model));
}

StepMetrics Trainer::step(int64_t step, const std::vector<PackedBatch>& batches,
                          const std::vector<Tensor>& boundaries) {
  StepMetrics metrics;
  metrics.factor = optim::schedule_factor(config_.schedule, step);
  metrics.alpha = optim::geometric(config_.model.boundary.alpha, config_.model.boundary.alpha_end, step,
                                   config_.schedule.steps);
  ForwardOptions options;
  options.mode = Mode::train;
  options.alpha = metrics.alpha;
  options.seed = static_cast<uint64_t>(config_.train.seed);
  options.recompute = config_.train.recompute;
  metrics.pass = accumulate_gradients(*model_, batches, options, boundaries);
  metrics.gradient_norm = optim::global_gradient_norm(model_->parameters());
  if (!std::isfinite(metrics.gradient_norm)) {
    throw NotFiniteError(concat("training step: the gradient's norm is ", metrics.gradient_norm,
                                "; lower rates or a longer schedule.warmup may help"));
  }
  optimizer_->step(step + 1, metrics.factor,
                   optim::clip_scale(metrics.gradient_norm, config_.optimizer.clip));
  model_->clear_gradients();
  return metrics;
}

data::Checkpoint Trainer::snapshot() const {
  data::Checkpoint checkpoint;
  for (size_t i = 0; i < optimizer_->parameters().size(); ++i) {
    const nn::Parameter& parameter = *optimizer_->parameters()[i];
    checkpoint.model.emplace_back(parameter.path(), parameter.value());
    checkpoint.moment_m.emplace_back(parameter.path(), optimizer_->moments()[i].m);
    checkpoint.moment_v.emplace_back(parameter.path(), optimizer_->moments()[i].v);
  }
  return checkpoint;
}

void Trainer::restore(const data::CheckpointReader& checkpoint) {
  std::vector<std::string> names;
  for (const nn::Parameter* parameter : optimizer_->parameters()) names.push_back(parameter->path());
  checkpoint.require_parameters(names);
  DLCM_CHECK_INPUT(checkpoint.has_optimizer(), checkpoint.path(),
                   ": holds no optimizer state, so it cannot be resumed");
  for (size_t i = 0; i < names.size(); ++i) {
    checkpoint.read_parameter(names[i], optimizer_->parameters()[i]->value());
    checkpoint.read_moments(names[i], optimizer_->moments()[i].m, optimizer_->moments()[i].v);
  }
  model_->round_operands(config_.train.dtype);
}

}  // namespace dlcm::apps
