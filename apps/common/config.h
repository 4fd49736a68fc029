// The configuration of a run: one struct, read from TOML and written back whole (README, "Configuration").
//
// One table of keys (config_keys.cpp) gives each key its name, its place in the struct and what it may be;
// reading, writing, range checks and the lists in error messages all come from it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "dlcm/config.h"
#include "nn/stack.h"
#include "optim/adamw.h"
#include "optim/schedule.h"
#include "tensor/dtype.h"

namespace dlcm::apps {

struct TrainConfig {
  int64_t context = 1024;       // tokens a document may have
  int64_t batch_tokens = 8192;  // per optimizer step, over all ranks
  int64_t micro_tokens = 4096;  // per forward pass
  DType dtype = DType::f32;     // of computation
  nn::Recompute recompute = nn::Recompute::none;
  int64_t seed = 1;        // of everything random
  std::string initialize;  // checkpoint or folder whose weights the run begins with; empty: from the seed
  int64_t evaluate_every = 200;
  int64_t evaluate_tokens = 65536;  // of the held-out text, at most, each time
  int64_t checkpoint_every = 200;
  int64_t keep = 0;        // newest checkpoints that stay; 0: all
  int64_t keep_every = 0;  // beyond them those whose step is a multiple of it; 0: none
};

struct Config {
  ModelConfig model;
  optim::AdamWConfig optimizer;
  optim::ScheduleConfig schedule;
  TrainConfig train;
  std::map<std::string, double> data_weights;  // [data.weights], by domain; empty: by tokens
};

// A configuration as it was read, and what the user should know of it.
struct LoadedConfig {
  Config config;
  // Keys given that a model of this kind does not have ("model.concept.width" of a transformer). They are
  // read and checked for their type, then left at their defaults and out of to_toml: so one file and
  // `--set model.kind=transformer` give the baseline of a DLCM.
  std::vector<std::string> unused;
};

// A line for the user about each of what was read but has no effect.
std::vector<std::string> notes_of(const LoadedConfig& loaded);

// Reads a TOML file ("-": standard input), then applies each override "key=value" in order: the value is
// TOML, or else a bare word that stands for a string. Absent keys keep their defaults. Throws InputError for
// anything wrong, in one line with file and line (or the override), key, value and what is allowed.
LoadedConfig load_config(const std::string& file, const std::vector<std::string>& overrides = {});

// The same from text; `name` stands for the file in messages.
LoadedConfig parse_config(std::string_view text, const std::string& name,
                          const std::vector<std::string>& overrides = {});

// The whole configuration as TOML, every default spelled out, with the keys that a model of its kind has.
// Reading it gives the same configuration, to the last bit of each number.
std::string to_toml(const Config& config);

// Every rule, across keys too: throws InputError that begins with the key. load_config has called it; call it
// again after changing a Config (the vocabulary is known only with the data).
void check(const Config& config);

}  // namespace dlcm::apps
