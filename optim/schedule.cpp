#include "optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace dlcm::optim {
namespace {

double decay_factor(DecayShape shape, double elapsed) {
  switch (shape) {
    case DecayShape::sqrt:
      return 1.0 - std::sqrt(elapsed);
    case DecayShape::linear:
      return 1.0 - elapsed;
    case DecayShape::cosine:
      return 0.5 * (1.0 + std::cos(std::numbers::pi * elapsed));
  }
  return 1.0;
}

}  // namespace

double schedule_factor(const ScheduleConfig& config, int64_t step) {
  double factor = 1.0;
  if (step < config.warmup) factor = static_cast<double>(step + 1) / static_cast<double>(config.warmup);
  const auto decay =
      static_cast<int64_t>(std::llround(config.decay_share * static_cast<double>(config.steps)));
  const int64_t into = step - (config.steps - decay);
  if (into < 0 || decay == 0) return factor;
  const double elapsed = static_cast<double>(into + 1) / static_cast<double>(decay);
  return std::min(factor, decay_factor(config.decay_shape, std::min(elapsed, 1.0)));
}

double geometric(double first, double last, int64_t step, int64_t steps) {
  if (steps <= 1) return last;
  const double share = std::clamp(static_cast<double>(step) / static_cast<double>(steps - 1), 0.0, 1.0);
  return first * std::pow(last / first, share);
}

}  // namespace dlcm::optim
