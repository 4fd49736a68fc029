#include "apps/benchmark/rates.h"

#include <algorithm>

namespace dlcm::apps {

void append_time_columns(std::vector<Column>& columns, const std::string& heading) {
  columns.insert(
      columns.end(),
      {{"ms", heading, Unit::number}, {"min_ms", "min", Unit::number}, {"max_ms", "max", Unit::number}});
}

void append_times(std::vector<Value>& row, const Timing& timing) {
  row.insert(row.end(), {1e3 * timing.median, 1e3 * timing.smallest, 1e3 * timing.largest});
}

void append_rate_columns(std::vector<Column>& columns) {
  append_time_columns(columns, "ms");
  columns.insert(columns.end(), {{"gflops", "GFLOP/s", Unit::number},
                                 {"matrix_share", "of matrix limit", Unit::share},
                                 {"gb_per_s", "GB/s", Unit::number},
                                 {"memory_share", "of memory limit", Unit::share}});
}

void append_rates(std::vector<Value>& row, const Timing& timing, double flops, double bytes,
                  const MachineLimits& limits) {
  append_times(row, timing);
  row.insert(row.end(),
             {flops > 0 ? ratio(flops, timing.median * 1e9) : Value(),
              flops > 0 ? ratio(flops / limits.flops, timing.median) : Value(),
              ratio(bytes, timing.median * 1e9), ratio(bytes / limits.memory_bytes(), timing.median)});
}

Table operator_table(const std::string& key, const std::string& title,
                     const std::vector<ProfileEntry>& operators, int64_t runs, double seconds,
                     const MachineLimits& limits) {
  Table table = {key,
                 title,
                 {{"name", "operator"},
                  {"calls", "calls/step", Unit::number},
                  {"ms", "ms/step", Unit::number},
                  {"share", "share", Unit::share},
                  {"gflops", "GFLOP/s", Unit::number},
                  {"matrix_share", "of matrix limit", Unit::share}},
                 {}};
  const auto count = static_cast<double>(runs);
  double announced = 0;
  for (const ProfileEntry& entry : operators) {
    announced += entry.seconds;
    const Value flops = entry.flops > 0 ? ratio(entry.flops, entry.seconds * 1e9) : Value();
    const Value share = entry.flops > 0 ? ratio(entry.flops / limits.flops, entry.seconds) : Value();
    table.rows.push_back({entry.name, static_cast<double>(entry.calls) / count, 1e3 * entry.seconds / count,
                          entry.seconds / seconds, flops, share});
  }
  const double other = std::max(0.0, seconds - announced);
  table.rows.push_back({"other", {}, 1e3 * other / count, other / seconds, {}, {}});
  return table;
}

}  // namespace dlcm::apps
