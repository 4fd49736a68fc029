// The columns that tables of measured operators share: times, and how far from the machine's limits.
#pragma once

#include <vector>

#include "apps/benchmark/machine.h"
#include "apps/benchmark/report.h"
#include "apps/benchmark/timing.h"

namespace dlcm::apps {

// ms, its smallest and largest, GFLOP/s, GB/s and their shares of the limits: appended to the others of a
// table.
void append_rate_columns(std::vector<Column>& columns);

// Their values, appended to a row. `flops` and `bytes` are those of one run; without FLOPs the columns about
// them do not apply.
void append_rates(std::vector<Value>& row, const Timing& timing, double flops, double bytes,
                  const MachineLimits& limits);

}  // namespace dlcm::apps
