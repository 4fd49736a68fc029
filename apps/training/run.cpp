#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <numbers>

#include "apps/common/loaded_model.h"
#include "apps/common/program.h"
#include "apps/evaluation/evaluate.h"
#include "apps/training/metrics.h"
#include "apps/training/progress.h"
#include "apps/training/signals.h"
#include "apps/training/trainer.h"
#include "tensor/allocator.h"
#include "tensor/ops/matmul.h"
#include "tensor/parallel.h"

namespace dlcm::apps {
namespace {

// Everything of a run that is neither model nor optimizer.
class Run {
 public:
  explicit Run(const TrainArguments& arguments);
  void go();

 private:
  void open_run();
  void restore();
  void announce() const;
  void train_step(Progress& progress);
  void evaluate_heldout(Progress& progress);
  void save();
  MetricsLog::Fields fields_of(const StepMetrics& metrics, double seconds) const;
  double bits_per_byte(double loss) const;

  TrainArguments arguments_;
  RunInput input_;
  std::unique_ptr<RunFolder> folder_;
  std::unique_ptr<Trainer> trainer_;
  std::unique_ptr<MetricsLog> metrics_;
  int64_t step_ = 0;  // steps done
  int64_t tokens_seen_ = 0;
  int64_t saved_step_ = -1;
  bool changed_ = false;  // whether a resumed run goes on with other settings
};

// Before anything is written: what is wrong with configuration or data leaves no folder behind.
Run::Run(const TrainArguments& arguments) : arguments_(arguments), input_(open_run_input(arguments)) {
  require_training_memory(input_.config.model);
  open_run();
  announce();
}

void Run::open_run() {
  folder_ = std::make_unique<RunFolder>(arguments_.output_folder, arguments_.resume);
  trainer_ = std::make_unique<Trainer>(input_.config);
  if (!folder_->checkpoint().empty()) {
    restore();
  } else if (arguments_.resume == Resume::yes) {
    input_.notes.push_back("note: " + folder_->path() +
                           " has no checkpoint, so this run begins at the first step");
  }
}

void Run::restore() {
  const data::CheckpointReader reader(folder_->checkpoint());
  Config stored = parse_config(reader.header().config, reader.path()).config;
  stored.model.vocab_size =
      trainer_->model().config().vocab_size;  // its parameters' shapes are compared below
  const std::vector<std::string> changes = check_same_run(stored, input_.config);
  for (const std::string& change : changes) input_.notes.push_back("note: going on with " + change);
  changed_ = !changes.empty();
  step_ = reader.header().step;
  DLCM_CHECK_INPUT(input_.config.schedule.steps >= step_, "schedule.steps = ", input_.config.schedule.steps,
                   ", but the run has done ", step_, " steps already");
  trainer_->restore(reader);
  input_.loader->seek(reader.header().loader_cursor);
  tokens_seen_ = reader.header().tokens_seen;
  saved_step_ = step_;
  input_.notes.push_back("note: resuming from " + reader.path() + ", step " + std::to_string(step_));
}

void Run::announce() const {
  int64_t parameters = 0;
  for (const nn::Parameter* parameter : trainer_->model().parameters())
    parameters += parameter->shape().numel();
  std::fprintf(stderr, "device cpu, f32, %d threads, %s, seed %lld\n", thread_count(),
               ops::matmul_library().c_str(), static_cast<long long>(input_.config.train.seed));
  std::fprintf(stderr, "%s\n", version_text().substr(0, version_text().find('\n')).c_str());
  std::fprintf(stderr,
               "%s of %.2f M parameters; %lld training tokens in %lld documents; %lld steps of %lld tokens\n",
               input_.config.model.kind == ModelKind::dlcm ? "DLCM" : "transformer",
               static_cast<double>(parameters) * 1e-6, static_cast<long long>(input_.loader->tokens()),
               static_cast<long long>(input_.loader->documents()),
               static_cast<long long>(input_.config.schedule.steps),
               static_cast<long long>(input_.config.train.batch_tokens));
  for (const std::string& note : input_.notes) print_error("train", note);
}

// Bits per byte of text of a loss in nats per token, by the training shards' ratio of tokens to bytes.
double Run::bits_per_byte(double loss) const {
  const auto targets = static_cast<double>(input_.loader->tokens() - input_.loader->documents());
  return loss / std::numbers::ln2 * targets / static_cast<double>(input_.loader->bytes());
}

MetricsLog::Fields Run::fields_of(const StepMetrics& metrics, double seconds) const {
  const Config& config = input_.config;
  const double s_token = config.model.token_multiplier();
  const double s_concept = config.model.concept_multiplier();
  const MemoryStatistics memory = allocator(Device::cpu()).statistics();
  // A transformer has no concepts; its fields keep their type.
  const auto of_concepts = [&](double value) { return config.model.kind == ModelKind::dlcm ? value : 0.0; };
  return {{"tokens_seen", static_cast<double>(tokens_seen_)},
          {"loss", metrics.pass.loss},
          {"aux_loss", of_concepts(metrics.pass.auxiliary_loss)},
          {"boundary_rate", of_concepts(metrics.pass.boundary_rate)},
          {"boundary_mean", of_concepts(metrics.pass.boundary_mean)},
          {"tokens_per_concept", of_concepts(metrics.pass.tokens_per_concept)},
          {"gradient_norm", metrics.gradient_norm},
          {"rate_token", metrics.factor * config.optimizer.rate_token / s_token},
          {"rate_concept", of_concepts(metrics.factor * config.optimizer.rate_concept / s_concept)},
          {"rate_other", metrics.factor * config.optimizer.rate_other},
          {"rate_boundary", of_concepts(metrics.factor * config.optimizer.rate_boundary / s_token)},
          {"alpha", of_concepts(metrics.alpha)},
          {"predicted_tokens", static_cast<double>(metrics.pass.totals.predicted_tokens)},
          {"tokens_per_second", static_cast<double>(config.train.batch_tokens) / seconds},
          {"peak_bytes", static_cast<double>(memory.peak_bytes)}};
}

void Run::train_step(Progress& progress) {
  const auto start = std::chrono::steady_clock::now();
  const std::vector<int64_t> cursor = input_.loader->cursor();
  StepMetrics metrics;
  try {
    metrics = trainer_->step(
        step_, data::micro_batches(input_.loader->next_step(), input_.config.train.micro_tokens));
  } catch (...) {
    // A loss that is not finite, or no memory: the weights are still those of before the step, and worth
    // keeping.
    input_.loader->seek(cursor);
    save();
    throw;
  }
  ++step_;
  tokens_seen_ += input_.config.train.batch_tokens;
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  metrics_->write(step_, fields_of(metrics, seconds));
  progress.update({step_, metrics.pass.loss, bits_per_byte(metrics.pass.loss),
                   metrics.pass.tokens_per_concept,
                   static_cast<double>(input_.config.train.batch_tokens) / seconds});
}

void Run::evaluate_heldout(Progress& progress) {
  if (!input_.heldout) return;
  EvaluationResult result;
  try {
    result = evaluate(trainer_->model(), *input_.heldout);
  } catch (...) {
    save();
    throw;
  }
  const MetricsLog::Fields fields = {{"tokens_seen", static_cast<double>(tokens_seen_)},
                                     {"heldout_loss", result.loss},
                                     {"heldout_bits_per_byte", result.bits_per_byte},
                                     {"heldout_tokens", static_cast<double>(result.tokens)},
                                     {"heldout_tokens_per_concept", result.tokens_per_concept},
                                     {"heldout_boundary_rate", result.boundary_rate}};
  char text[200];
  const int length = std::snprintf(text, sizeof(text), "step %lld: held-out loss %.4f, %.3f bits per byte",
                                   static_cast<long long>(step_), result.loss, result.bits_per_byte);
  if (input_.config.model.kind == ModelKind::dlcm) {
    std::snprintf(text + length, sizeof(text) - static_cast<size_t>(length), ", %.2f tokens per concept",
                  result.tokens_per_concept);
  }
  metrics_->write(step_, fields);
  progress.message(text);
}

void Run::save() {
  if (saved_step_ == step_) return;
  data::Checkpoint checkpoint = trainer_->snapshot();
  checkpoint.header.config = to_toml(input_.config);
  checkpoint.header.step = step_;
  checkpoint.header.tokens_seen = tokens_seen_;
  checkpoint.header.loader_cursor = input_.loader->cursor();
  checkpoint.header.seed = input_.config.train.seed;
  checkpoint.header.extra = {{"tokenizer", input_.loader->tokenizer()},
                             {"mup_s_token", std::to_string(input_.config.model.token_multiplier())},
                             {"mup_s_concept", std::to_string(input_.config.model.concept_multiplier())}};
  metrics_->sync();
  data::write_checkpoint(data::checkpoint_path(folder_->path(), step_), checkpoint);
  data::link_latest_checkpoint(folder_->path(), step_);
  saved_step_ = step_;
}

void Run::go() {
  const int64_t steps = input_.config.schedule.steps;
  if (step_ >= steps) {
    std::fprintf(stderr, "%s: all %lld steps are done\n", arguments_.output_folder.c_str(),
                 static_cast<long long>(steps));
    return;
  }
  folder_->begin(input_.config, changed_ ? step_ : -1);
  metrics_ = std::make_unique<MetricsLog>(folder_->path() + "/metrics.jsonl", step_);
  install_stop_signals();
  Progress progress(step_, steps);
  while (step_ < steps && !stop_requested()) {
    train_step(progress);
    if (step_ % input_.config.train.evaluate_every == 0 || step_ == steps) evaluate_heldout(progress);
    if (step_ % input_.config.train.checkpoint_every == 0) save();
  }
  save();
  if (step_ < steps)
    progress.message("stopped at step " + std::to_string(step_) + "; saved, go on with --resume");
}

}  // namespace

void run_training(const TrainArguments& arguments) {
  Run(arguments).go();
}

}  // namespace dlcm::apps
