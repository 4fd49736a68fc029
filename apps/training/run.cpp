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
#include "data/heldout.h"
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
  void open_data();
  void open_heldout();
  void open_run();
  void restore();
  void announce() const;
  void train_step(Progress& progress);
  void evaluate_heldout(Progress& progress);
  void save();
  MetricsLog::Fields fields_of(const StepMetrics& metrics, double seconds) const;
  double bits_per_byte(double loss) const;

  TrainArguments arguments_;
  Config config_;
  std::unique_ptr<data::Loader> loader_;
  std::unique_ptr<data::HeldoutReader> heldout_;
  std::unique_ptr<RunFolder> folder_;
  std::unique_ptr<Trainer> trainer_;
  std::unique_ptr<MetricsLog> metrics_;
  std::vector<std::string> notes_;  // of what was found while opening, to be told after the announcement
  int64_t step_ = 0;                // steps done
  int64_t tokens_seen_ = 0;
  int64_t saved_step_ = -1;
  bool changed_ = false;  // whether a resumed run goes on with other settings
};

Run::Run(const TrainArguments& arguments) : arguments_(arguments) {
  const LoadedConfig loaded = load_config(arguments.config_file, arguments.overrides);
  config_ = loaded.config;
  for (const std::string& key : loaded.unused)
    notes_.push_back("train: note: " + key + " does not apply to this kind of model and is ignored");
  open_data();
  open_heldout();  // before anything is written: what is wrong with the data leaves no folder behind
  open_run();
  announce();
}

void Run::open_data() {
  data::LoaderOptions options;
  options.folder = arguments_.data_folder;
  options.weights = config_.data_weights;
  options.seed = config_.train.seed;
  options.context = config_.train.context;
  options.batch_tokens = config_.train.batch_tokens;
  loader_ = std::make_unique<data::Loader>(options);
  config_.model.vocab_size = loader_->vocab_size();
  check(config_);
}

void Run::open_heldout() {
  if (data::shard_domains(arguments_.data_folder, "heldout").empty()) {
    notes_.push_back("train: note: " + arguments_.data_folder +
                     " has no held-out shards, so there is no evaluation");
    return;
  }
  data::HeldoutOptions options;
  options.source = arguments_.data_folder;
  options.context = config_.train.context;
  options.batch_tokens = std::max(config_.train.context, config_.train.micro_tokens);
  options.max_tokens = config_.train.evaluate_tokens;
  options.choice = data::HeldoutChoice::spread;
  heldout_ = std::make_unique<data::HeldoutReader>(options);
  DLCM_CHECK_INPUT(
      heldout_->vocab_size() == loader_->vocab_size() && heldout_->tokenizer() == loader_->tokenizer(),
      arguments_.data_folder,
      ": the held-out shards were made with another tokenizer than the training ones");
}

void Run::open_run() {
  folder_ = std::make_unique<RunFolder>(arguments_.output_folder, arguments_.resume);
  trainer_ = std::make_unique<Trainer>(config_);
  if (!folder_->checkpoint().empty()) {
    restore();
  } else if (arguments_.resume == Resume::yes) {
    notes_.push_back("train: note: " + folder_->path() +
                     " has no checkpoint, so this run begins at the first step");
  }
}

void Run::restore() {
  const data::CheckpointReader reader(folder_->checkpoint());
  Config stored = parse_config(reader.header().config, reader.path()).config;
  stored.model.vocab_size =
      trainer_->model().config().vocab_size;  // its parameters' shapes are compared below
  const std::vector<std::string> changes = check_same_run(stored, config_);
  for (const std::string& change : changes) notes_.push_back("train: note: going on with " + change);
  changed_ = !changes.empty();
  step_ = reader.header().step;
  DLCM_CHECK_INPUT(config_.schedule.steps >= step_, "schedule.steps = ", config_.schedule.steps,
                   ", but the run has done ", step_, " steps already");
  trainer_->restore(reader);
  loader_->seek(reader.header().loader_cursor);
  tokens_seen_ = reader.header().tokens_seen;
  saved_step_ = step_;
  notes_.push_back("resuming from " + reader.path() + ", step " + std::to_string(step_));
}

void Run::announce() const {
  int64_t parameters = 0;
  for (const nn::Parameter* parameter : trainer_->model().parameters())
    parameters += parameter->shape().numel();
  std::fprintf(stderr, "device cpu, f32, %d threads, %s, seed %lld\n", thread_count(),
               ops::matmul_library().c_str(), static_cast<long long>(config_.train.seed));
  std::fprintf(stderr, "%s\n", version_text().substr(0, version_text().find('\n')).c_str());
  std::fprintf(
      stderr, "%s of %.2f M parameters; %lld training tokens in %lld documents; %lld steps of %lld tokens\n",
      config_.model.kind == ModelKind::dlcm ? "DLCM" : "transformer", static_cast<double>(parameters) * 1e-6,
      static_cast<long long>(loader_->tokens()), static_cast<long long>(loader_->documents()),
      static_cast<long long>(config_.schedule.steps), static_cast<long long>(config_.train.batch_tokens));
  for (const std::string& note : notes_) std::fprintf(stderr, "%s\n", note.c_str());
  if (config_.model.kind == ModelKind::dlcm &&
      config_.model.cross_attention.visibility == Visibility::containing) {
    std::fprintf(stderr,
                 "train: warning: visibility \"containing\" lets tokens see concepts that hold later tokens: "
                 "the loss leaks the future and the model cannot generate\n");
  }
}

// Bits per byte of text of a loss in nats per token, by the training shards' ratio of tokens to bytes.
double Run::bits_per_byte(double loss) const {
  const auto targets = static_cast<double>(loader_->tokens() - loader_->documents());
  return loss / std::numbers::ln2 * targets / static_cast<double>(loader_->bytes());
}

MetricsLog::Fields Run::fields_of(const StepMetrics& metrics, double seconds) const {
  const double s_token = config_.model.token_multiplier();
  const double s_concept = config_.model.concept_multiplier();
  const MemoryStatistics memory = allocator(Device::cpu()).statistics();
  return {{"tokens_seen", static_cast<double>(tokens_seen_)},
          {"loss", metrics.pass.loss},
          {"aux_loss", metrics.pass.auxiliary_loss},
          {"boundary_rate", metrics.pass.boundary_rate},
          {"boundary_mean", metrics.pass.boundary_mean},
          {"tokens_per_concept", metrics.pass.tokens_per_concept},
          {"gradient_norm", metrics.gradient_norm},
          {"rate_token", metrics.factor * config_.optimizer.rate_token / s_token},
          {"rate_concept", metrics.factor * config_.optimizer.rate_concept / s_concept},
          {"rate_other", metrics.factor * config_.optimizer.rate_other},
          {"rate_boundary", metrics.factor * config_.optimizer.rate_boundary / s_token},
          {"alpha", metrics.alpha},
          {"predicted_tokens", static_cast<double>(metrics.pass.totals.predicted_tokens)},
          {"tokens_per_second", static_cast<double>(config_.train.batch_tokens) / seconds},
          {"peak_bytes", static_cast<double>(memory.peak_bytes)}};
}

void Run::train_step(Progress& progress) {
  const auto start = std::chrono::steady_clock::now();
  const std::vector<int64_t> cursor = loader_->cursor();
  StepMetrics metrics;
  try {
    metrics = trainer_->step(step_, data::micro_batches(loader_->next_step(), config_.train.micro_tokens));
  } catch (...) {
    // A loss that is not finite, or no memory: the weights are still those of before the step, and worth
    // keeping.
    loader_->seek(cursor);
    save();
    throw;
  }
  ++step_;
  tokens_seen_ += config_.train.batch_tokens;
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  metrics_->write(step_, fields_of(metrics, seconds));
  progress.update({step_, metrics.pass.loss, bits_per_byte(metrics.pass.loss),
                   metrics.pass.tokens_per_concept,
                   static_cast<double>(config_.train.batch_tokens) / seconds});
}

void Run::evaluate_heldout(Progress& progress) {
  if (!heldout_) return;
  EvaluationResult result;
  try {
    result = evaluate(trainer_->model(), *heldout_);
  } catch (...) {
    save();
    throw;
  }
  const bool concepts = config_.model.kind == ModelKind::dlcm;
  MetricsLog::Fields fields = {{"tokens_seen", static_cast<double>(tokens_seen_)},
                               {"heldout_loss", result.loss},
                               {"heldout_bits_per_byte", result.bits_per_byte},
                               {"heldout_tokens", static_cast<double>(result.tokens)}};
  char text[200];
  int length = std::snprintf(text, sizeof(text), "step %lld: held-out loss %.4f, %.3f bits per byte",
                             static_cast<long long>(step_), result.loss, result.bits_per_byte);
  if (concepts) {
    fields.emplace_back("heldout_tokens_per_concept", result.tokens_per_concept);
    fields.emplace_back("heldout_boundary_rate", result.boundary_rate);
    std::snprintf(text + length, sizeof(text) - static_cast<size_t>(length), ", %.2f tokens per concept",
                  result.tokens_per_concept);
  }
  metrics_->write(step_, fields);
  progress.message(text);
}

void Run::save() {
  if (saved_step_ == step_) return;
  data::Checkpoint checkpoint = trainer_->snapshot();
  checkpoint.header.config = to_toml(config_);
  checkpoint.header.step = step_;
  checkpoint.header.tokens_seen = tokens_seen_;
  checkpoint.header.loader_cursor = loader_->cursor();
  checkpoint.header.seed = config_.train.seed;
  checkpoint.header.extra = {{"tokenizer", loader_->tokenizer()},
                             {"mup_s_token", std::to_string(config_.model.token_multiplier())},
                             {"mup_s_concept", std::to_string(config_.model.concept_multiplier())}};
  metrics_->sync();
  data::write_checkpoint(data::checkpoint_path(folder_->path(), step_), checkpoint);
  data::link_latest_checkpoint(folder_->path(), step_);
  saved_step_ = step_;
}

void Run::go() {
  const int64_t steps = config_.schedule.steps;
  if (step_ >= steps) {
    std::fprintf(stderr, "%s: all %lld steps are done\n", arguments_.output_folder.c_str(),
                 static_cast<long long>(steps));
    return;
  }
  folder_->begin(config_, changed_ ? step_ : -1);
  metrics_ = std::make_unique<MetricsLog>(folder_->path() + "/metrics.jsonl", step_);
  install_stop_signals();
  Progress progress(step_, steps);
  while (step_ < steps && !stop_requested()) {
    train_step(progress);
    if (step_ % config_.train.evaluate_every == 0 || step_ == steps) evaluate_heldout(progress);
    if (step_ % config_.train.checkpoint_every == 0) save();
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
