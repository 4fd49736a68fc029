#include <algorithm>

#include "apps/benchmark/benchmarks.h"
#include "apps/benchmark/machine.h"
#include "apps/benchmark/random_input.h"
#include "apps/benchmark/rates.h"
#include "autograd/tape.h"
#include "dlcm/language_model.h"

namespace dlcm::apps {
namespace {

constexpr int64_t kLongestPrompt = 1024;
constexpr int64_t kFirstPosition = 128;
// Steps of a run after those that warm up. Runs begin again at the same prompts until the time is over: how
// long the caches grow must not depend on the speed.
constexpr int64_t kRunSteps = 128;
constexpr int64_t kRunStepsByPosition = 32;
constexpr int64_t kWarmUpSteps = 4;

// What generate does with a prompt: one pass that fills the state, and the next token's logits.
ForwardOutput prefill(const LanguageModel& model, const std::vector<int32_t>& tokens, SequenceState& state) {
  ForwardOutput output = model.forward(single_document(tokens), {}, &state);
  const Tensor& hidden = output.hidden.value();
  model.logits(hidden.slice(hidden.size(0) - 1, hidden.size(0)));
  return output;
}

Table prefill_table(const LanguageModel& model, const BenchmarkOptions& options) {
  Table table = {"prefill", "Prefill of one prompt", {{"tokens", "tokens", Unit::count}}, {}};
  append_time_columns(table.columns, "ms");
  table.columns.push_back({"tokens_per_second", "tokens/s", Unit::number});
  table.columns.push_back({"concepts", "concepts", Unit::count});
  for (int64_t length = 128; length <= kLongestPrompt; length *= 2) {
    const std::vector<int32_t> tokens = random_tokens(length, model.config().vocab_size, 1);
    Value concepts;
    const Timing timing = measure(options.seconds, [&] {
      const std::unique_ptr<SequenceState> state = model.new_state();
      const ForwardOutput output = prefill(model, tokens, *state);
      if (model.config().kind == ModelKind::dlcm) concepts = output.segmentation.count;
    });
    std::vector<Value>& row = table.rows.emplace_back(1, length);
    append_times(row, timing);
    row.emplace_back(static_cast<double>(length) / timing.median);
    row.push_back(concepts);
  }
  return table;
}

// Streams that began at different times: prompts of 64, 75, 86, ... tokens.
std::vector<int64_t> ragged_lengths(int64_t streams) {
  constexpr int64_t kShortest = 64;
  constexpr int64_t kDifference = 11;
  std::vector<int64_t> lengths;
  for (int64_t stream = 0; stream < streams; ++stream) lengths.push_back(kShortest + kDifference * stream);
  return lengths;
}

std::vector<std::unique_ptr<SequenceState>> states_after(const LanguageModel& model,
                                                         const std::vector<int64_t>& lengths) {
  std::vector<std::unique_ptr<SequenceState>> states;
  for (const int64_t length : lengths) {
    const uint64_t seed = states.size();
    states.push_back(model.new_state());
    prefill(model, random_tokens(length, model.config().vocab_size, seed), *states.back());
  }
  return states;
}

// Bytes of weights that a decoding step of a transformer reads. (A DLCM reads those of the backbone less
// often.)
int64_t packed_bytes(const LanguageModel& model) {
  int64_t bytes = 0;
  for (const nn::Parameter* parameter : model.parameters())
    bytes += static_cast<int64_t>(parameter->packed().bytes());
  return bytes;
}

struct Decoding {
  Timing step, run;
  double tokens = 0;  // of all streams in a run
  double tokens_per_concept = 0;
  std::vector<ProfileEntry> operators;  // of the last run
  double last_run = 0;                  // seconds
  double read_bytes = 0;                // per second, the memory limit between the runs
};

// One stream for each prompt of so many tokens. Tokens are random rather than sampled: the time is that of
// the model alone. Where `memory` is given it is measured before each run and after the last.
Decoding decode(const LanguageModel& model, const std::vector<int64_t>& prompts, int64_t run_steps,
                double seconds, const MemoryReader* memory = nullptr) {
  const std::vector<int32_t> tokens =
      random_tokens(std::ssize(prompts) * (kWarmUpSteps + run_steps), model.config().vocab_size,
                    static_cast<uint64_t>(prompts.size()));
  std::vector<double> steps, runs;
  int64_t boundaries = 0;
  Decoding result;
  const auto measure_memory = [&] {
    constexpr double kSeconds = 0.05;
    if (memory != nullptr)
      result.read_bytes = std::max(result.read_bytes, memory->bytes_per_second(std::min(kSeconds, seconds)));
  };
  double measured = 0;
  do {
    measure_memory();
    const std::vector<std::unique_ptr<SequenceState>> states = states_after(model, prompts);
    std::vector<SequenceState*> all;
    for (const auto& state : states) all.push_back(state.get());
    result.last_run = 0;
    for (size_t step = 0; step * all.size() < tokens.size(); ++step) {
      if (step == kWarmUpSteps) profile_start();
      const Clock::time_point begin = Clock::now();
      const StepOutput output = model.step(std::span(tokens).subspan(step * all.size(), all.size()), all);
      model.logits(output.hidden);
      if (step < kWarmUpSteps) continue;
      steps.push_back(seconds_since(begin));
      result.last_run += steps.back();
      boundaries += std::count(output.boundary.begin(), output.boundary.end(), 1);
    }
    result.operators = profile_stop();
    runs.push_back(result.last_run);
    measured += result.last_run;
  } while (measured < seconds);
  measure_memory();
  result.tokens = static_cast<double>(run_steps * std::ssize(prompts));
  result.tokens_per_concept = result.tokens * static_cast<double>(runs.size()) /
                              static_cast<double>(std::max<int64_t>(1, boundaries));
  result.step = timing_of(std::move(steps));
  result.run = timing_of(std::move(runs));
  return result;
}

void add_streams(const LanguageModel& model, const BenchmarkOptions& options, const MachineLimits& limits,
                 Report& report) {
  Table table = {"decode",
                 "Decoding of streams that began at different times",
                 {{"streams", "streams", Unit::count}, {"steps", "steps", Unit::count}},
                 {}};
  append_time_columns(table.columns, "ms/step");
  table.columns.insert(table.columns.end(), {{"tokens_per_second", "tokens/s", Unit::number},
                                             {"tokens_per_second_highest", "fastest run", Unit::number},
                                             {"read_gb_per_s", "memory limit then, GB/s", Unit::number},
                                             {"weight_bytes", "its weights", Unit::bytes},
                                             {"memory_share", "per second, of that", Unit::share},
                                             {"tokens_per_concept", "tokens/concept", Unit::number}});
  std::vector<Table> operators;
  const bool has_concepts = model.config().kind == ModelKind::dlcm;
  const int64_t bytes = packed_bytes(model);
  const MemoryReader memory(options.seconds);
  for (const int64_t streams : {1, 16}) {
    const Decoding decoding = decode(model, ragged_lengths(streams), kRunSteps, options.seconds, &memory);
    const Timing& run = decoding.run;
    std::vector<Value>& row = table.rows.emplace_back(1, streams);
    row.emplace_back(decoding.step.runs);
    append_times(row, decoding.step);
    row.insert(
        row.end(),
        {decoding.tokens / run.median, decoding.tokens / run.smallest, decoding.read_bytes * 1e-9, bytes,
         has_concepts ? Value()
                      : ratio(static_cast<double>(bytes * kRunSteps) / decoding.read_bytes, run.smallest),
         has_concepts ? Value(decoding.tokens_per_concept) : Value()});
    operators.push_back(operator_table(concat("operators_", streams),
                                       concat("Decoding, streams: ", streams, ", time by operator"),
                                       decoding.operators, kRunSteps, decoding.last_run, limits));
  }
  report.tables.push_back(std::move(table));
  for (Table& each : operators) report.tables.push_back(std::move(each));
}

// How a token's time grows with those before it: up to the context that the model is trained with. Of a DLCM
// only the mean counts the tokens that begin a concept as often as they come.
Table position_table(const LanguageModel& model, const BenchmarkOptions& options) {
  Table table = {"positions",
                 "Decoding of one stream, by the tokens before it",
                 {{"position", "tokens before", Unit::count}, {"steps", "steps", Unit::count}},
                 {}};
  append_time_columns(table.columns, "ms/token");
  table.columns.push_back({"mean_ms", "mean", Unit::number});
  const int64_t context = options.config.train.context;
  for (int64_t position = std::min(kFirstPosition, context); position <= context; position *= 2) {
    const Decoding decoding = decode(model, {position}, kRunStepsByPosition, 0);
    std::vector<Value>& row = table.rows.emplace_back(1, position);
    row.emplace_back(decoding.step.runs);
    append_times(row, decoding.step);
    row.emplace_back(1e3 * decoding.run.smallest / decoding.tokens);
  }
  return table;
}

}  // namespace

void benchmark_generate(const BenchmarkOptions& options, Report& report) {
  ModelConfig config = options.config.model;
  DLCM_CHECK_INPUT(
      config.kind == ModelKind::transformer || config.cross_attention.visibility == Visibility::completed,
      "model.cross_attention.visibility = \"containing\": such a model sees the tokens it is to predict and "
      "cannot generate; use \"completed\"");
  const MachineLimits limits = measure_limits(std::min(1.0, 2 * options.seconds), options.config.train.dtype);
  report.groups.push_back(machine_facts(limits));
  if (has_untrained_boundaries(config)) {
    config.boundary.predictor = Predictor::fixed;
    report.notes.push_back(
        "Weights are untrained: a concept begins every R tokens, in place of the predictor of the "
        "configuration.");
  }
  const std::unique_ptr<LanguageModel> model = make_model(config);
  model->initialize(static_cast<uint64_t>(options.config.train.seed));
  model->pack_operands(options.config.train.dtype);
  const autograd::NoGrad no_grad;
  report.tables.push_back(prefill_table(*model, options));
  add_streams(*model, options, limits, report);
  report.tables.push_back(position_table(*model, options));
}

}  // namespace dlcm::apps
