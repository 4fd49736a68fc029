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
  Resume resume = Resume::no;
};

struct RunInput {
  Config config;                                 // with the vocabulary of the shards
  std::unique_ptr<data::Loader> loader;          // null without a folder of data
  std::unique_ptr<data::HeldoutReader> heldout;  // null where there are no held-out shards
  std::vector<std::string> notes;                // "note: ..." or "warning: ...", for the user
};

// Throws InputError where configuration or shards are wrong, or do not fit each other.
RunInput open_run_input(const TrainArguments& arguments);

}  // namespace dlcm::apps
