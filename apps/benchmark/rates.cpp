#include "apps/benchmark/rates.h"

namespace dlcm::apps {

void append_rate_columns(std::vector<Column>& columns) {
  columns.insert(columns.end(), {{"ms", "ms", Unit::number},
                                 {"min_ms", "min", Unit::number},
                                 {"max_ms", "max", Unit::number},
                                 {"gflops", "GFLOP/s", Unit::number},
                                 {"matrix_share", "of matrix limit", Unit::share},
                                 {"gb_per_s", "GB/s", Unit::number},
                                 {"memory_share", "of memory limit", Unit::share}});
}

void append_rates(std::vector<Value>& row, const Timing& timing, double flops, double bytes,
                  const MachineLimits& limits) {
  row.insert(row.end(),
             {1e3 * timing.median, 1e3 * timing.smallest, 1e3 * timing.largest,
              flops > 0 ? ratio(flops, timing.median * 1e9) : Value(),
              flops > 0 ? ratio(flops / limits.flops, timing.median) : Value(),
              ratio(bytes, timing.median * 1e9), ratio(bytes / limits.memory_bytes(), timing.median)});
}

}  // namespace dlcm::apps
