#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <numbers>
#include <optional>
#include <thread>
#include <utility>

#include "apps/common/loaded_model.h"
#include "apps/common/program.h"
#include "apps/evaluation/evaluate.h"
#include "apps/training/checkpoint_saver.h"
#include "apps/training/matrix_limit.h"
#include "apps/training/metrics_fields.h"
#include "apps/training/progress.h"
#include "apps/training/restore.h"
#include "apps/training/run_logs.h"
#include "apps/training/signals.h"
#include "apps/training/trainer.h"
#include "data/step_reader.h"
#include "data/tokenizer.h"
#include "dlcm/cost.h"
#include "dlcm/not_finite.h"
#include "tensor/allocator.h"
#include "tensor/ops/matmul.h"
#include "tensor/parallel.h"

namespace dlcm::apps {
namespace {

using Clock = std::chrono::steady_clock;

// How long after a failure a checkpoint is tried again: while training, and when it is over.
constexpr std::chrono::seconds kRetry(30);
constexpr std::chrono::seconds kLastRetry(2);
constexpr int kLastAttempts = 3;

constexpr int64_t kNoStep = -1;

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
  double flops_of(const StepMetrics& metrics) const;
  void train_step();
  void evaluate_heldout();
  void write_samples();
  void save_now();
  void save_after_failure();
  data::Checkpoint checkpoint() const;
  void start_save();
  void take(const SaveOutcome& outcome);
  void save_where_due();
  void warn_of_logs();
  [[noreturn]] void end_diverged(const std::string& cause);
  double bits_per_byte(double loss) const;

  TrainArguments arguments_;
  RunInput input_;
  std::unique_ptr<RunFolder> folder_;
  std::unique_ptr<Trainer> trainer_;
  std::unique_ptr<data::StepReader> steps_;
  std::unique_ptr<RunLogs> logs_;
  std::optional<HeldoutSamples> heldout_samples_;  // once the first was asked for
  std::unique_ptr<CheckpointSaver> saver_;
  std::unique_ptr<Progress> progress_;
  std::optional<Clock::time_point> retry_at_;  // a checkpoint that could not be written
  bool logs_wait_ = false;                     // which was said
  double checkpoint_seconds_ = 0;              // that the last start_save kept training waiting
  double matrix_limit_ = 0;                    // FLOPs per second
  bool limit_confirmed_ = false;               // measured again after the first step
  int64_t step_ = 0;                           // steps done
  int64_t tokens_seen_ = 0;
  std::vector<int64_t> cursor_;  // behind the steps done
  // Of the newest checkpoint. Initial weights need none where the seed makes them again.
  int64_t saved_step_ = 0;
  std::string config_before_;  // of a resumed run that goes on with other settings
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
  const bool has_checkpoint = !folder_->candidates().empty();
  if (!has_checkpoint && !input_.config.train.initialize.empty()) {
    trainer_ = trainer_of_source(input_.config);
    saved_step_ = kNoStep;
  } else {
    trainer_ = std::make_unique<Trainer>(input_.config);
  }
  if (stop_requested()) return false;
  if (has_checkpoint) {
    restore();
  } else if (arguments_.resume == Resume::yes) {
    input_.notes.push_back("note: " + folder_->path() +
                           " has no checkpoint, so this run begins at the first step");
  }
  return true;
}

void Run::restore() {
  const RestoredRun restored = restore_newest(*folder_, input_.config, *trainer_, *input_.loader);
  input_.notes.insert(input_.notes.end(), restored.notes.begin(), restored.notes.end());
  config_before_ = restored.config_before;
  step_ = saved_step_ = restored.step;
  tokens_seen_ = restored.tokens_seen;
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

// Of a step, by the concepts that it had.
double Run::flops_of(const StepMetrics& metrics) const {
  const TrainConfig& train = input_.config.train;
  const double tokens_per_concept = std::max(1.0, metrics.pass.tokens_per_concept);
  const ModelCost cost =
      cost_of(trainer_->model(), train.context, train.recompute, train.dtype, tokens_per_concept);
  return training_flops_per_token(cost, train.recompute) * static_cast<double>(train.batch_tokens);
}

// Bits per byte of text of a loss in nats per token, by the training shards' ratio of tokens to bytes.
double Run::bits_per_byte(double loss) const {
  const auto targets = static_cast<double>(input_.loader->tokens() - input_.loader->documents());
  return loss / std::numbers::ln2 * targets / static_cast<double>(input_.loader->bytes());
}

void Run::train_step() {
  const auto start = std::chrono::steady_clock::now();
  allocator(Device::cpu()).reset_peak();  // the step's own, whatever ran before it
  StepMetrics metrics;
  std::vector<data::Piece> pieces;
  std::vector<PackedBatch> batches;
  try {
    pieces = steps_->next_step();
    batches = data::micro_batches(pieces, input_.config.train.micro_tokens);
    metrics = trainer_->step(step_, batches);
  } catch (const NotFiniteError& error) {
    end_diverged(error.what());
  } catch (...) {
    // No memory, a shard that changed: the weights are still those of before the step, and worth keeping.
    save_after_failure();
    throw;
  }
  ++step_;
  cursor_ = steps_->cursor();
  tokens_seen_ += input_.config.train.batch_tokens;
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  // Where other programs ran while the limit was measured, it is at least what a step has reached.
  const double flops_per_second = flops_of(metrics) / seconds;
  matrix_limit_ = std::max(matrix_limit_, flops_per_second);
  const double matrix_share = flops_per_second / matrix_limit_;
  MetricsLog::Fields fields = step_fields(
      input_.config, metrics,
      {tokens_seen_, seconds, matrix_share, steps_->seconds_waited(), std::exchange(checkpoint_seconds_, 0)});
  add_data_fields(pieces, batches.size(), steps_->progress(), fields);
  folder_->hold_again();
  logs_->write(step_, fields);
  progress_->update({step_, metrics.pass.loss, bits_per_byte(metrics.pass.loss),
                     metrics.pass.tokens_per_concept,
                     static_cast<double>(input_.config.train.batch_tokens) / seconds, matrix_share});
  // Once more now that the threads are awake: one start in four found half of it.
  if (!std::exchange(limit_confirmed_, true)) {
    matrix_limit_ = std::max(matrix_limit_, matrix_limit(input_.config.train.dtype));
  }
}

void Run::evaluate_heldout() {
  if (!input_.heldout) return;
  EvaluationResult result;
  try {
    result = evaluate(trainer_->model(), *input_.heldout);
    if (!std::isfinite(result.loss)) throw NotFiniteError(concat("the held-out loss is ", result.loss));
  } catch (const NotFiniteError& error) {
    end_diverged(error.what());
  } catch (...) {
    save_after_failure();
    throw;
  }
  char text[200];
  const int length = std::snprintf(text, sizeof(text), "step %lld: held-out loss %.4f, %.3f bits per byte",
                                   static_cast<long long>(step_), result.loss, result.bits_per_byte);
  if (input_.config.model.kind == ModelKind::dlcm) {
    std::snprintf(text + length, sizeof(text) - static_cast<size_t>(length), ", %.2f tokens per concept",
                  result.tokens_per_concept);
  }
  folder_->hold_again();
  logs_->write(step_, evaluation_fields(result, tokens_seen_));
  progress_->message(text);
  write_samples();
}

void Run::write_samples() {
  if (!logs_->has_samples()) return;
  if (!heldout_samples_) {
    heldout_samples_ = heldout_samples(*input_.heldout, {arguments_.data_folder + "/" + data::kTokenizerFile},
                                       input_.config.train.context);
    if (!heldout_samples_->missing.empty())
      progress_->message("train: note: no segmented samples: " + heldout_samples_->missing);
  }
  logs_->write_samples(step_, trainer_->model(), heldout_samples_->samples);
}

// The weights are ruined, or were by the step before: the last that was saved is what can be gone on from.
void Run::end_diverged(const std::string& cause) {
  if (saver_->busy()) {
    const SaveOutcome outcome = saver_->wait();
    if (outcome.failure.empty() && outcome.not_finite.empty()) saved_step_ = outcome.step;
  }
  std::string newest = data::checkpoint_path(folder_->path(), saved_step_);
  if (!std::filesystem::exists(newest)) {
    const std::vector<std::string> all = folder_->checkpoints();
    newest = all.empty() ? "" : all.front();
  }
  const std::string remedy =
      newest.empty() ? "there is no checkpoint yet, so --resume begins again"
                     : "--resume goes on from " + newest +
                           ", and from the one before it where that is ruined too and you remove it";
  throw Error(concat("after step ", step_, ": ", cause, "; the weights are not saved; ", remedy,
                     ": give it lower rates (such as --set optimizer.rate_token=",
                     input_.config.optimizer.rate_token / 2, ", also rate_concept and rate_other)"));
}

data::Checkpoint Run::checkpoint() const {
  data::Checkpoint checkpoint = trainer_->snapshot();
  checkpoint.header.config = to_toml(input_.config);
  checkpoint.header.step = step_;
  checkpoint.header.tokens_seen = tokens_seen_;
  checkpoint.header.loader_cursor = cursor_;
  checkpoint.header.seed = input_.config.train.seed;
  checkpoint.header.extra = {{"tokenizer", input_.loader->tokenizer()},
                             {"mup_s_token", std::to_string(input_.config.model.token_multiplier())},
                             {"mup_s_concept", std::to_string(input_.config.model.concept_multiplier())}};
  return checkpoint;
}

// Waits for the one before it, where the disk is slower than checkpoint_every.
void Run::start_save() {
  const Clock::time_point begin = Clock::now();
  if (saver_->busy()) take(saver_->wait());
  if (saved_step_ == step_) return;
  retry_at_.reset();
  saver_->start(checkpoint());
  checkpoint_seconds_ = std::chrono::duration<double>(Clock::now() - begin).count();
}

// A full disk, a lost folder costs the checkpoint, not the run.
void Run::take(const SaveOutcome& outcome) {
  if (!outcome.not_finite.empty()) end_diverged(outcome.not_finite + " has values that are not finite");
  if (!outcome.warning.empty()) progress_->message("train: warning: " + outcome.warning);
  if (outcome.failure.empty()) {
    saved_step_ = outcome.step;
    return;
  }
  retry_at_ = Clock::now() + kRetry;
  progress_->message(concat("train: warning: ", outcome.failure, "; it is tried again"));
}

void Run::save_where_due() {
  if (const std::optional<SaveOutcome> outcome = saver_->poll()) take(*outcome);
  const bool due = retry_at_ ? Clock::now() >= *retry_at_ : step_ % input_.config.train.checkpoint_every == 0;
  if (due) start_save();
}

// At the end of the run, where nothing else is to be done: the checkpoint, and what the logs still hold.
void Run::save_now() {
  for (int attempt = 1;; ++attempt) {
    folder_->hold_again();
    logs_->retry();
    start_save();
    if (saver_->busy()) {
      const SaveOutcome outcome = saver_->wait();
      DLCM_CHECK(outcome.failure.empty() || attempt < kLastAttempts, outcome.failure,
                 folder_->checkpoints().empty() ? "; there is no other"
                                                : concat("; the newest is of step ", saved_step_));
      take(outcome);
    }
    const std::string failure = logs_->failure();
    if (saved_step_ == step_ && failure.empty()) return;
    DLCM_CHECK(attempt < kLastAttempts, failure, "; its last lines are lost, the checkpoint of step ", step_,
               " is whole");
    std::this_thread::sleep_for(kLastRetry);
  }
}

// What failed before is what the run ends with.
void Run::save_after_failure() {
  try {
    save_now();
  } catch (const std::exception& error) {
    progress_->message(concat("train: warning: ", error.what()));
  }
}

void Run::warn_of_logs() {
  const std::string failure = logs_->failure();
  if (!failure.empty() && !logs_wait_) {
    progress_->message("train: warning: " + failure + "; it is tried again");
  }
  logs_wait_ = !failure.empty();
}

void Run::go() {
  const int64_t steps = input_.config.schedule.steps;
  if (step_ >= steps) {
    mend_logs(folder_->path(), step_);
    if (!folder_->names(step_)) folder_->link_latest(step_);
    std::fprintf(stderr, "%s: all %lld steps are done\n", arguments_.output_folder.c_str(),
                 static_cast<long long>(steps));
    return;
  }
  folder_->begin(input_.config, config_before_, step_);
  for (const std::string& name : folder_->set_aside_later(step_))
    print_error("train", concat("note: a checkpoint of a later step is kept as ", folder_->path(),
                                "/checkpoints/", name, "; remove it when it is no longer needed"));
  folder_->take_tokenizer(arguments_.data_folder);
  const bool shows_concepts = input_.config.model.kind == ModelKind::dlcm && input_.heldout;
  logs_ = std::make_unique<RunLogs>(folder_->path(), step_, shows_concepts ? Samples::yes : Samples::no);
  saver_ = std::make_unique<CheckpointSaver>(
      *folder_, logs_->metrics(), input_.config,
      copy_fits(input_.config) ? SaveMode::beside_training : SaveMode::within_step);
  matrix_limit_ = matrix_limit(input_.config.train.dtype);
  progress_ = std::make_unique<Progress>(step_, steps);
  cursor_ = input_.loader->cursor();
  saver_->prepare(checkpoint());
  if (saved_step_ == kNoStep) {  // on the disk before the first step: the source may change or go
    start_save();
    if (saver_->busy()) take(saver_->wait());
  }
  steps_ = std::make_unique<data::StepReader>(*input_.loader);
  while (step_ < steps && !stop_requested()) {
    train_step();
    if (step_ % input_.config.train.evaluate_every == 0 || step_ == steps) evaluate_heldout();
    warn_of_logs();
    save_where_due();
  }
  save_now();
  if (step_ < steps) {
    const std::string saved = step_ > 0 ? "; saved, go on with --resume" : "; begin again with --resume";
    progress_->message("stopped at step " + std::to_string(step_) + saved);
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
