// `train --dry-run`: what a configuration would cost.
#pragma once

#include <ostream>

#include "apps/training/run_input.h"

namespace dlcm::apps {

// Tables of parameters, bytes and FLOPs by part on `out`, notes on standard error as a real start prints
// them. The model is described without allocating it, and nothing is written. Where a folder of data is
// given, its shards are checked as by a real start; they tell the vocabulary and the length of an epoch.
// Throws InputError as open_run_input does.
void run_dry(std::ostream& out, const TrainArguments& arguments);

}  // namespace dlcm::apps
