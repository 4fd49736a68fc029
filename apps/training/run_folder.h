// The folder that a run writes: config.toml, metrics.jsonl, checkpoints/.
#pragma once

#include <string>

#include "apps/common/config.h"

namespace dlcm::apps {

enum class Resume { no, yes };

// Makes the folder ready for a run. Throws InputError where it already holds one and `resume` is no: the
// output of an existing run is never overwritten unasked. Returns the newest complete checkpoint to go on
// from; empty for a new run.
std::string prepare_run_folder(const std::string& folder, Resume resume);

// Writes config.toml, whole or not at all.
void write_config_file(const std::string& folder, const Config& config);

// Throws InputError naming the first key in which a resumed run would not be the same run: anything of
// [model], [mup], [data.weights], train.context, train.batch_tokens, train.seed, train.dtype. Other keys may
// change: rates, schedule, intervals, micro_tokens, recompute. Returns the names of those that did, for a
// note to the user.
std::vector<std::string> check_same_run(const Config& stored, const Config& wanted);

}  // namespace dlcm::apps
