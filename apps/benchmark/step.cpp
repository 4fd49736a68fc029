#include <algorithm>

#include "apps/benchmark/benchmarks.h"
#include "apps/benchmark/random_input.h"
#include "apps/benchmark/rates.h"
#include "apps/training/trainer.h"
#include "dlcm/cost.h"
#include "tensor/allocator.h"
#include "tensor/profile.h"

namespace dlcm::apps {
namespace {

constexpr int64_t kWarmUpSteps = 2;
constexpr size_t kFewestSteps = 3;

// What the measured steps took.
struct MeasuredSteps {
  Timing timing;
  double seconds = 0;  // of all of them
  std::vector<ProfileEntry> operators;
  MemoryStatistics memory;  // peak and system calls of the measured steps alone
  int64_t resident_bytes = 0;
  double tokens_per_concept = 0;
};

// An untrained predictor places boundaries anywhere; decisions of our own make concepts of R tokens on
// average, as they are after training, others in each step, as their number varies then too. Empty where
// there is nothing to train.
std::vector<Tensor> boundaries_of(const ModelConfig& config, const std::vector<PackedBatch>& batches,
                                  int64_t step) {
  const uint64_t seed = static_cast<uint64_t>(step) * batches.size();
  if (!has_untrained_boundaries(config)) return {};
  std::vector<Tensor> boundaries;
  for (const PackedBatch& batch : batches) {
    boundaries.push_back(
        random_boundaries(batch.cu_seqlens, config.boundary.tokens_per_concept, seed + boundaries.size()));
  }
  return boundaries;
}

MeasuredSteps measure_steps(Trainer& trainer, const ModelConfig& config,
                            const std::vector<PackedBatch>& batches, double seconds) {
  for (int64_t step = 1; step < kWarmUpSteps; ++step) {
    trainer.step(step, batches, boundaries_of(config, batches, step));
  }
  MeasuredSteps result;
  Allocator& memory = allocator(Device::cpu());
  memory.reset_peak();
  const int64_t calls_before = memory.statistics().system_calls;
  std::vector<double> measured;
  profile_start();
  while (measured.size() < kFewestSteps || result.seconds < seconds) {
    const auto step = kWarmUpSteps + static_cast<int64_t>(measured.size());
    const std::vector<Tensor> boundaries = boundaries_of(config, batches, step);
    const Clock::time_point begin = Clock::now();
    result.tokens_per_concept = trainer.step(step, batches, boundaries).pass.tokens_per_concept;
    measured.push_back(seconds_since(begin));
    result.seconds += measured.back();
  }
  result.operators = profile_stop();
  result.memory = memory.statistics();
  result.memory.system_calls -= calls_before;
  result.resident_bytes = largest_resident_bytes();
  result.timing = timing_of(std::move(measured));
  return result;
}

// Shares of what tensors held when they held the most, in a step of its own.
Table memory_table(Trainer& trainer, const std::vector<PackedBatch>& batches,
                   const std::vector<Tensor>& boundaries, int64_t step) {
  Table table = {"memory",
                 "Held at the peak, by operator that made it (before the step: weights, moments, input)",
                 {{"name", "operator"}, {"bytes", "bytes", Unit::bytes}, {"share", "share", Unit::share}},
                 {}};
  Allocator& memory = allocator(Device::cpu());
  memory.watch();
  trainer.step(step, batches, boundaries);
  const auto peak = static_cast<double>(memory.statistics().peak_bytes);
  for (const HeldBytes& held : memory.unwatch()) {
    table.rows.push_back({held.name, held.bytes, static_cast<double>(held.bytes) / peak});
  }
  return table;
}

}  // namespace

void benchmark_step(const BenchmarkOptions& options, Report& report) {
  const Config& config = options.config;
  const std::vector<PackedBatch> batches = random_batches(config, 1);
  Trainer trainer(config);
  const double to_begin = seconds_since(options.program_begin);
  trainer.step(0, batches, boundaries_of(config.model, batches, 0));
  const double to_first_step = seconds_since(options.program_begin);
  const MeasuredSteps steps = measure_steps(trainer, config.model, batches, options.seconds);
  const MachineLimits limits = measure_limits(std::min(options.seconds, 0.5), options.config.train.dtype);
  report.groups.push_back(machine_facts(limits));

  const ModelCost cost =
      cost_of(trainer.model(), config.train.context, config.train.recompute, config.train.dtype);
  const double flops = training_flops_per_token(cost, config.train.recompute);
  const auto tokens = static_cast<double>(config.train.batch_tokens);
  const Timing& timing = steps.timing;
  const bool has_concepts = config.model.kind == ModelKind::dlcm;
  report.groups.push_back(
      {"step",
       "Training step",
       {{"parameters", "parameters", cost.parameters, Unit::count},
        {"tokens", "tokens a step", config.train.batch_tokens, Unit::count},
        {"micro_batches", "micro-batches", static_cast<int64_t>(batches.size()), Unit::count},
        {"tokens_per_concept", "tokens per concept, as sampled",
         has_concepts ? Value(steps.tokens_per_concept) : Value(), Unit::number},
        {"steps", "steps measured", timing.runs, Unit::count},
        {"ms", "median, ms", 1e3 * timing.median, Unit::number},
        {"min_ms", "shortest, ms", 1e3 * timing.smallest, Unit::number},
        {"max_ms", "longest, ms", 1e3 * timing.largest, Unit::number},
        {"tokens_per_second", "tokens/s", tokens / timing.median, Unit::number},
        {"flops_per_token", "FLOPs/token, training", flops, Unit::count},
        {"gflops", "GFLOP/s", flops * tokens / timing.median * 1e-9, Unit::number},
        {"matrix_share", "of matrix limit", ratio(flops * tokens / timing.median, limits.flops), Unit::share},
        {"peak_bytes", "peak of tensors", steps.memory.peak_bytes, Unit::bytes},
        {"reserved_bytes", "held from the system", steps.memory.reserved_bytes, Unit::bytes},
        {"resident_bytes", "largest size of the process", steps.resident_bytes, Unit::bytes},
        {"system_allocations", "allocations from the system", steps.memory.system_calls, Unit::count},
        {"seconds_to_begin", "program's begin to first step's begin, s", to_begin, Unit::number},
        {"seconds_to_first_step", "program's begin to first step's end, s", to_first_step, Unit::number}}});
  report.tables.push_back(operator_table("operators", "Time by operator, exclusive", steps.operators,
                                         timing.runs, steps.seconds, limits));
  const int64_t next = kWarmUpSteps + timing.runs;
  report.tables.push_back(memory_table(trainer, batches, boundaries_of(config.model, batches, next), next));
  report.notes.push_back(
      "FLOPs/token: from the configuration (R tokens per concept); the operators count what they do.");
}

}  // namespace dlcm::apps
