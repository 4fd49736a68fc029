// The columns that tables of measured operators share: times, and how far from the machine's limits.
#pragma once

#include <vector>

#include "apps/benchmark/machine.h"
#include "apps/benchmark/report.h"
#include "apps/benchmark/timing.h"
#include "tensor/profile.h"

namespace dlcm::apps {

// ms, under that heading, its smallest and largest: appended to the other columns of a table, and their
// values to a row.
void append_time_columns(std::vector<Column>& columns, const std::string& heading);
void append_times(std::vector<Value>& row, const Timing& timing);

// The same, GFLOP/s, GB/s and their shares of the limits.
void append_rate_columns(std::vector<Column>& columns);

// Their values, appended to a row. `flops` and `bytes` are those of one run; without FLOPs the columns about
// them do not apply.
void append_rates(std::vector<Value>& row, const Timing& timing, double flops, double bytes,
                  const MachineLimits& limits);

// Calls, time, share and rates of each operator, for each of `runs` that took `seconds` together. `other` is
// what no operator announces: the tape, segmentation, drawing boundaries, logging.
Table operator_table(const std::string& key, const std::string& title,
                     const std::vector<ProfileEntry>& operators, int64_t runs, double seconds,
                     const MachineLimits& limits);

}  // namespace dlcm::apps
