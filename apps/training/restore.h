// Where a resumed run goes on: at its newest checkpoint that is whole.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/common/config.h"
#include "apps/training/run_folder.h"
#include "apps/training/trainer.h"
#include "data/loader.h"

namespace dlcm::apps {

struct RestoredRun {
  int64_t step = 0;
  int64_t tokens_seen = 0;
  std::string config_before;       // the checkpoint's own (TOML), where it goes on with other settings
  std::vector<std::string> notes;  // for the user: which checkpoint, what changed, what is damaged
};

// Gives trainer and loader the state of the first of the folder's candidates that is whole. Throws InputError
// where none is, and where one that is whole is of another run than `config` and the loader's data: no other
// of the folder would do then.
RestoredRun restore_newest(const RunFolder& folder, const Config& config, Trainer& trainer,
                           data::Loader& loader);

}  // namespace dlcm::apps
