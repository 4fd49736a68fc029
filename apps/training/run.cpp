#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <numbers>

#include "apps/common/loaded_model.h"
#include "apps/common/program.h"
#include "apps/evaluation/evaluate.h"
#include "apps/training/matrix_limit.h"
#include "apps/training/metrics.h"
#include "apps/training/progress.h"
#include "apps/training/signals.h"
#include "apps/training/trainer.h"
#include "dlcm/cost.h"
#include "dlcm/not_finite.h"
#include "tensor/allocator.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/matmul.h"
#include "tensor/parallel.h"

namespace dlcm::apps {
namespace {

// Everything of a run that is neither model nor optimizer.
class Run {
 public:
  explicit Run(const TrainArguments& arguments) : arguments_(arguments) {}
  // Whether to go on: not where a signal asked to stop. Of what is wrong with configuration or data nothing
  // is written.
  bool open();
  void go();

 private:
  bool open_run();
  void restore();
  void announce() const;
  void measure_speed();
  double matrix_share(double seconds) const { return step_flops_ / seconds / matrix_limit_; }
  void train_step(Progress& progress);
  void evaluate_heldout(Progress& progress);
  void save();
  [[noreturn]] void end_diverged(const std::string& cause) const;
  MetricsLog::Fields fields_of(const StepMetrics& metrics, double seconds) const;
  double bits_per_byte(double loss) const;

  TrainArguments arguments_;
  RunInput input_;
  std::unique_ptr<RunFolder> folder_;
  std::unique_ptr<Trainer> trainer_;
  std::unique_ptr<MetricsLog> metrics_;
  double matrix_limit_ = 0;  // FLOPs per second
  double step_flops_ = 0;    // of a step, as the configuration says
  int64_t step_ = 0;         // steps done
  int64_t tokens_seen_ = 0;
  int64_t saved_step_ = 0;  // of the newest checkpoint; initial weights need none, the seed makes them again
  bool changed_ = false;    // whether a resumed run goes on with other settings
};

bool Run::open() {
  input_ = open_run_input(arguments_);
  require_training_memory(input_.config);
  if (stop_requested() || !open_run()) return false;
  announce();
  return !stop_requested();
}

bool Run::open_run() {
  folder_ = std::make_unique<RunFolder>(arguments_.output_folder, arguments_.resume);
  trainer_ = std::make_unique<Trainer>(input_.config);
  if (stop_requested()) return false;
  if (!folder_->checkpoint().empty()) {
    restore();
  } else if (arguments_.resume == Resume::yes) {
    input_.notes.push_back("note: " + folder_->path() +
                           " has no checkpoint, so this run begins at the first step");
  }
  return true;
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

// Version and commit: the first two lines of what --version prints.
std::string build_text() {
  std::string text = version_text();
  const size_t first = text.find('\n');
  text.resize(text.find('\n', first + 1));
  return text.replace(first, 1, ", ");
}

void Run::announce() const {
  int64_t parameters = 0;
  for (const nn::Parameter* parameter : trainer_->model().parameters())
    parameters += parameter->shape().numel();
  std::fprintf(stderr, "device cpu, %s, %d threads, %s, seed %lld\n", dtype_name(input_.config.train.dtype),
               thread_count(), ops::matmul_engine().c_str(),
               static_cast<long long>(input_.config.train.seed));
  std::fprintf(stderr, "%s\n", build_text().c_str());
  std::fprintf(stderr,
               "%s of %.2f M parameters; %lld training tokens in %lld documents; %lld steps of %lld tokens\n",
               input_.config.model.kind == ModelKind::dlcm ? "DLCM" : "transformer",
               static_cast<double>(parameters) * 1e-6, static_cast<long long>(input_.loader->tokens()),
               static_cast<long long>(input_.loader->documents()),
               static_cast<long long>(input_.config.schedule.steps),
               static_cast<long long>(input_.config.train.batch_tokens));
  for (const std::string& note : input_.notes) print_error("train", note);
}

// What the speed of steps is compared with.
void Run::measure_speed() {
  const TrainConfig& train = input_.config.train;
  const ModelCost cost = cost_of(trainer_->model(), train.context, train.recompute, train.dtype);
  step_flops_ = training_flops_per_token(cost, train.recompute) * static_cast<double>(train.batch_tokens);
  matrix_limit_ = matrix_limit(train.dtype);
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
  return {{"tokens_seen", tokens_seen_},
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
          {"predicted_tokens", metrics.pass.totals.predicted_tokens},
          {"tokens_per_second", static_cast<double>(config.train.batch_tokens) / seconds},
          {"matrix_share", matrix_share(seconds)},
          {"peak_bytes", static_cast<int64_t>(memory.peak_bytes)}};
}

void Run::train_step(Progress& progress) {
  const auto start = std::chrono::steady_clock::now();
  allocator(Device::cpu()).reset_peak();  // the step's own, whatever ran before it
  const std::vector<int64_t> cursor = input_.loader->cursor();
  StepMetrics metrics;
  try {
    metrics = trainer_->step(
        step_, data::micro_batches(input_.loader->next_step(), input_.config.train.micro_tokens));
  } catch (const NotFiniteError& error) {
    end_diverged(error.what());
  } catch (...) {
    // No memory, a shard that changed: the weights are still those of before the step, and worth keeping.
    input_.loader->seek(cursor);
    save();
    throw;
  }
  ++step_;
  tokens_seen_ += input_.config.train.batch_tokens;
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  // Where other programs ran while the limit was measured, it is at least what a step has reached.
  matrix_limit_ = std::max(matrix_limit_, step_flops_ / seconds);
  metrics_->write(step_, fields_of(metrics, seconds));
  progress.update({step_, metrics.pass.loss, bits_per_byte(metrics.pass.loss),
                   metrics.pass.tokens_per_concept,
                   static_cast<double>(input_.config.train.batch_tokens) / seconds, matrix_share(seconds)});
}

void Run::evaluate_heldout(Progress& progress) {
  if (!input_.heldout) return;
  EvaluationResult result;
  try {
    result = evaluate(trainer_->model(), *input_.heldout);
    if (!std::isfinite(result.loss)) throw NotFiniteError(concat("the held-out loss is ", result.loss));
  } catch (const NotFiniteError& error) {
    end_diverged(error.what());
  } catch (...) {
    save();
    throw;
  }
  const MetricsLog::Fields fields = {{"tokens_seen", tokens_seen_},
                                     {"heldout_loss", result.loss},
                                     {"heldout_bits_per_byte", result.bits_per_byte},
                                     {"heldout_tokens", result.tokens},
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

// The weights are ruined, or were by the step before: the last that was saved is what can be gone on from.
void Run::end_diverged(const std::string& cause) const {
  std::string newest = data::checkpoint_path(folder_->path(), saved_step_);
  if (!std::filesystem::exists(newest)) newest = folder_->checkpoint();
  const std::string remedy =
      newest.empty() ? "there is no checkpoint yet, so --resume begins again"
                     : "--resume goes on from " + newest +
                           ", and from the one before it where that is ruined too and you remove it";
  throw Error(concat("after step ", step_, ": ", cause, "; the weights are not saved; ", remedy,
                     ": give it lower rates (such as --set optimizer.rate_token=",
                     input_.config.optimizer.rate_token / 2, ", also rate_concept and rate_other)"));
}

void Run::save() {
  if (saved_step_ == step_) return;
  data::Checkpoint checkpoint = trainer_->snapshot();
  for (const data::NamedTensors* tensors : {&checkpoint.model, &checkpoint.moment_m, &checkpoint.moment_v}) {
    for (const auto& [name, values] : *tensors)
      if (!ops::all_finite(values)) end_diverged(name + " has values that are not finite");
  }
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
  folder_->link_latest(step_);
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
  measure_speed();
  Progress progress(step_, steps);
  while (step_ < steps && !stop_requested()) {
    train_step(progress);
    if (step_ % input_.config.train.evaluate_every == 0 || step_ == steps) evaluate_heldout(progress);
    if (step_ % input_.config.train.checkpoint_every == 0) save();
  }
  save();
  if (step_ < steps) {
    const std::string saved = step_ > 0 ? "; saved, go on with --resume" : "; begin again with --resume";
    progress.message("stopped at step " + std::to_string(step_) + saved);
  }
}

}  // namespace

void run_training(const TrainArguments& arguments) {
  install_stop_signals();
  Run run(arguments);
  if (run.open()) {
    run.go();
  } else {
    std::fputs("stopped before a step was made; nothing was written\n", stderr);
  }
}

}  // namespace dlcm::apps
