// train --branch-decay: another end of a run, from a checkpoint of its stable phase.
#pragma once

#include "apps/training/run_input.h"

namespace dlcm::apps {

// The arguments of the run that decays from step `step` of the run in arguments.output_folder: a run of its
// own in its folder branch-STEP, beside the checkpoints of which it has the first one (a hard link, or a
// copy). Its decay takes as many steps as the configuration's would (schedule.decay_share of schedule.steps).
// With Resume::yes it goes on where it was stopped. Throws InputError where the step has no checkpoint or
// lies outside the stable phase, in which the rate is constant, and where the branch is there already without
// Resume::yes.
TrainArguments branch_decay(const TrainArguments& arguments, int64_t step);

}  // namespace dlcm::apps
