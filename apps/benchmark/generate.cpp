#include <algorithm>

#include "apps/benchmark/benchmarks.h"
#include "apps/benchmark/random_input.h"
#include "apps/benchmark/rates.h"
#include "autograd/tape.h"
#include "dlcm/language_model.h"

namespace dlcm::apps {
namespace {

constexpr int64_t kLongestPrompt = 1024;
constexpr int64_t kMostSteps = 1024;
constexpr size_t kFewestSteps = 16;
constexpr size_t kWarmUpSteps = 4;

// What generate does with a prompt: one pass that fills the state, and the next token's logits.
ForwardOutput prefill(const LanguageModel& model, const std::vector<int32_t>& tokens, SequenceState& state) {
  ForwardOutput output = model.forward(single_document(tokens), {}, &state);
  const Tensor& hidden = output.hidden.value();
  model.logits(hidden.slice(hidden.size(0) - 1, hidden.size(0)));
  return output;
}

Table prefill_table(const LanguageModel& model, const BenchmarkOptions& options) {
  Table table = {"prefill",
                 "Prefill of one prompt",
                 {{"tokens", "tokens", Unit::count},
                  {"ms", "ms", Unit::number},
                  {"min_ms", "min", Unit::number},
                  {"max_ms", "max", Unit::number},
                  {"tokens_per_second", "tokens/s", Unit::number},
                  {"concepts", "concepts", Unit::count}},
                 {}};
  for (int64_t length = 128; length <= kLongestPrompt; length *= 2) {
    const std::vector<int32_t> tokens = random_tokens(length, model.config().vocab_size, 1);
    Value concepts;
    const Timing timing = measure(options.seconds, [&] {
      const std::unique_ptr<SequenceState> state = model.new_state();
      const ForwardOutput output = prefill(model, tokens, *state);
      if (model.config().kind == ModelKind::dlcm) concepts = output.segmentation.count;
    });
    table.rows.push_back({length, 1e3 * timing.median, 1e3 * timing.smallest, 1e3 * timing.largest,
                          static_cast<double>(length) / timing.median, concepts});
  }
  return table;
}

// Streams that began at different times: prompts of 64, 75, 86, ... tokens.
std::vector<std::unique_ptr<SequenceState>> ragged_states(const LanguageModel& model, int64_t streams) {
  constexpr int64_t kShortest = 64;
  constexpr int64_t kDifference = 11;
  std::vector<std::unique_ptr<SequenceState>> states;
  for (int64_t stream = 0; stream < streams; ++stream) {
    states.push_back(model.new_state());
    const int64_t length = kShortest + kDifference * stream;
    prefill(model, random_tokens(length, model.config().vocab_size, static_cast<uint64_t>(stream)),
            *states.back());
  }
  return states;
}

// Bytes of weights that a decoding step of a transformer reads; a DLCM reads those of the backbone less
// often.
int64_t packed_bytes(const LanguageModel& model) {
  int64_t bytes = 0;
  for (const nn::Parameter* parameter : model.parameters())
    bytes += static_cast<int64_t>(parameter->packed().bytes());
  return bytes;
}

// Tokens are random rather than sampled: the time is that of the model alone. Adds a row and a table of its
// operators.
void measure_decoding(const LanguageModel& model, int64_t streams, double seconds,
                      const MachineLimits& limits, Table& rows, std::vector<Table>& operators) {
  const std::vector<std::unique_ptr<SequenceState>> states = ragged_states(model, streams);
  std::vector<SequenceState*> all;
  for (const auto& state : states) all.push_back(state.get());
  const std::vector<int32_t> tokens =
      random_tokens(streams * kMostSteps, model.config().vocab_size, static_cast<uint64_t>(streams));
  std::vector<double> measured;
  int64_t boundaries = 0;
  double total = 0;
  for (size_t step = 0; step < static_cast<size_t>(kMostSteps); ++step) {
    const Clock::time_point begin = Clock::now();
    const StepOutput output = model.step(std::span(tokens).subspan(step * all.size(), all.size()), all);
    model.logits(output.hidden);
    if (step + 1 == kWarmUpSteps) profile_start();
    if (step < kWarmUpSteps) continue;
    measured.push_back(seconds_since(begin));
    total += measured.back();
    boundaries += std::count(output.boundary.begin(), output.boundary.end(), 1);
    if (measured.size() >= kFewestSteps && total >= seconds) break;
  }
  const auto made = static_cast<double>(measured.size() * all.size());
  const Timing timing = timing_of(std::move(measured));
  const double bytes = static_cast<double>(packed_bytes(model));
  rows.rows.push_back(
      {streams, timing.runs, 1e3 * timing.median, 1e3 * timing.smallest, 1e3 * timing.largest, made / total,
       ratio(bytes / limits.memory_bytes(), timing.median),
       model.config().kind == ModelKind::dlcm ? ratio(made, static_cast<double>(boundaries)) : Value()});
  operators.push_back(operator_table(concat("operators_", streams),
                                     concat("Decoding, streams: ", streams, ", time by operator"),
                                     profile_stop(), timing.runs, total, limits));
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
  Table table = {"decode",
                 "Decoding of streams that began at different times",
                 {{"streams", "streams", Unit::count},
                  {"steps", "steps", Unit::count},
                  {"ms", "ms/step", Unit::number},
                  {"min_ms", "min", Unit::number},
                  {"max_ms", "max", Unit::number},
                  {"tokens_per_second", "tokens/s", Unit::number},
                  {"memory_share", "weights, of memory limit", Unit::share},
                  {"tokens_per_concept", "tokens/concept", Unit::number}},
                 {}};
  std::vector<Table> operators;
  for (const int64_t streams : {1, 16}) {
    measure_decoding(*model, streams, options.seconds, limits, table, operators);
  }
  report.tables.push_back(std::move(table));
  for (Table& each : operators) report.tables.push_back(std::move(each));
}

}  // namespace dlcm::apps
