// What a run reads: configuration and shards, opened and checked before anything is written.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "apps/common/config.h"
#include "apps/training/run_folder.h"
#include "data/heldout.h"
#include "data/loader.h"

namespace dlcm::apps {

struct TrainArguments {
  std::string config_file;
  std::vector<std::string> overrides;
  std::string data_folder;  // empty: none, for a dry run
  std::string output_folder;
  std::string initialize;  // as train.initialize, before that key; empty: what the key says
  Resume resume = Resume::no;
  std::string branch_of;  // the run whose branch this begins; empty: none, or it has begun already
};

struct RunInput {
  // With the vocabulary of the shards; [model] and [mup] of the source where train.initialize names one,
  // whose vocabulary may be larger.
  Config config;
  std::unique_ptr<data::Loader> loader;          // null without a folder of data
  std::unique_ptr<data::HeldoutReader> heldout;  // null where there are no held-out shards
  std::vector<std::string> notes;                // "note: ..." or "warning: ...", for the user
};

// Throws InputError where configuration, source or shards are wrong, or do not fit each other. A run that is
// resumed takes its model from its own config.toml, and a branch from its run's: the source need not be there
// any more once the run has a checkpoint.
RunInput open_run_input(const TrainArguments& arguments);

}  // namespace dlcm::apps
