// Learning-rate schedule: warm-up, stable, decay (WSD). A pure function of the step and the configuration.
#pragma once

#include <cstdint>

namespace dlcm::optim {

enum class DecayShape { sqrt, linear, cosine };

struct ScheduleConfig {
  int64_t steps = 1000;
  int64_t warmup = 50;       // steps of linear warm-up
  double decay_share = 0.1;  // last share of the steps (the 90-99 % window of Eq. 23)
  DecayShape decay_shape = DecayShape::sqrt;
};

// Factor on every base rate at step 0 <= step < steps: (step + 1) / warmup while warming up, 1, then with x
// the elapsed share of the decay, counted so that the last step ends it: 1 - sqrt(x), 1 - x or (1 + cos(pi
// x)) / 2.
double schedule_factor(const ScheduleConfig& config, int64_t step);

// Geometric from `first` at step 0 to `last` at the final step: the boundary temperature alpha.
double geometric(double first, double last, int64_t step, int64_t steps);

}  // namespace dlcm::optim
