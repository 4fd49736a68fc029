// The four measurements of the program benchmark. Each adds what it finds to a report.
#pragma once

#include "apps/benchmark/machine.h"
#include "apps/benchmark/report.h"
#include "apps/benchmark/timing.h"
#include "apps/common/config.h"

namespace dlcm::apps {

struct BenchmarkOptions {
  Config config;
  double seconds = 0;  // to spend on each measurement, at least
  Clock::time_point program_begin;
};

// Every operator, forward and backward, at the sizes of the configuration: T = train.micro_tokens tokens,
// M = T / R concepts. (operator_cases.h lists them.)
void benchmark_ops(const BenchmarkOptions& options, Report& report);

// Training steps on random tokens: time, tokens per second, share of time by operator, peak memory.
void benchmark_step(const BenchmarkOptions& options, Report& report);

// Prefill of a prompt and decoding of one and of many ragged streams, with untrained weights. Throws
// InputError where the model cannot generate.
void benchmark_generate(const BenchmarkOptions& options, Report& report);

// The matrix products of the configuration's model, squares, and those of decoding, by ops::matmul and by the
// alternative.
void benchmark_matmul(const BenchmarkOptions& options, Report& report);

}  // namespace dlcm::apps
