#include <algorithm>

#include "apps/benchmark/benchmarks.h"
#include "apps/benchmark/operator_cases.h"
#include "apps/benchmark/rates.h"
#include "tensor/check.h"
#include "tensor/profile.h"

namespace dlcm::apps {
namespace {

// As announced by the operators that one call runs.
double flops_of(const OperatorCase& one) {
  profile_start();
  one.run();
  double flops = 0;
  for (const ProfileEntry& entry : profile_stop()) flops += entry.flops;
  return flops;
}

// Inputs and results, each once.
double bytes_of(const OperatorCase& one) {
  size_t bytes = 0;
  for (const Tensor& tensor : one.inputs) bytes += tensor.bytes();
  for (const Tensor& tensor : one.run()) bytes += tensor.bytes();
  return static_cast<double>(bytes);
}

std::vector<Value> measured_row(const OperatorCase& one, double seconds, const MachineLimits& limits) {
  const double flops = flops_of(one);
  const double bytes = bytes_of(one);
  const Timing timing = measure(seconds, [&] { one.run(); });
  std::vector<Value> row = {one.name, one.pass, one.inputs.front().shape().to_string()};
  append_rates(row, timing, flops, bytes, limits);
  return row;
}

}  // namespace

void benchmark_ops(const BenchmarkOptions& options, Report& report) {
  const MachineLimits limits = measure_limits(std::min(1.0, 2 * options.seconds), options.config.train.dtype);
  report.groups.push_back(machine_facts(limits));
  Table table = {"operators",
                 concat("Operators, what products read in ", options.config.train.dtype),
                 {{"name", "operator"}, {"pass", "pass"}, {"shape", "first input"}},
                 {}};
  append_rate_columns(table.columns);
  visit_operator_cases(options.config, [&](const OperatorCase& one) {
    table.rows.push_back(measured_row(one, options.seconds, limits));
  });
  report.tables.push_back(std::move(table));
  report.notes.push_back(
      "GB/s: inputs and results, each touched once; more than the memory limit where caches hold them.");
}

}  // namespace dlcm::apps
