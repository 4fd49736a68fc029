// The folder that a run writes: config.toml, metrics.jsonl, samples.jsonl, checkpoints/.
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "apps/common/config.h"

namespace dlcm::apps {

enum class Resume { no, yes };

// Holds the folder for one process: a second train on it is refused while the first one runs.
class RunFolder {
 public:
  // Makes the folder where it is missing. Throws InputError where it already holds a run and `resume` is no
  // (the output of an existing run is never overwritten unasked), where another process holds it, or where it
  // is no folder; and where latest.h5 is none of a link and a file (of a copied run), or names a checkpoint
  // that is missing as all others are.
  RunFolder(const std::string& path, Resume resume);

  const std::string& path() const { return path_; }
  // The checkpoints to go on from, in the order in which they are to be tried: the one that latest.h5 names,
  // then those of checkpoints() that are others. Empty for a run that begins.
  std::vector<std::string> candidates() const;
  // What is wrong with the link latest.h5; empty where nothing is.
  const std::string& warning() const { return warning_; }
  // Every checkpoints/step-*.h5, that of the latest step first. Files have that name only when they are
  // whole.
  std::vector<std::string> checkpoints() const;

  // From here on the folder holds a run: writes config.toml, whole or not at all, and makes checkpoints/.
  // `before`, where it is not empty, is the configuration (TOML) that held until step `changed_at`, and is
  // kept as config-until-step-N.toml.
  void begin(const Config& config, const std::string& before = {}, int64_t changed_at = 0) const;
  // A copy of the tokenizer.json beside the shards, where there is one: text is made and read with it.
  void take_tokenizer(const std::string& data_folder);
  // For a run that goes on from `step`: checkpoints of later ones, which it will not have come from, are
  // renamed to superseded-step-N.h5, or superseded-2-step-N.h5 and so on. Returns their new names.
  std::vector<std::string> set_aside_later(int64_t step) const;
  // The same where the folder was lost meanwhile: makes what is missing.
  void restore(const Config& config) const;
  // Before anything is written there, from any thread: holds the folder that has its name now, where that is
  // another than before. Throws Error where another process holds it.
  void hold_again();

  // Makes latest.h5 name that step's checkpoint, which is written already. Where latest.h5 is itself a file
  // it first gets the name of its own step, or goes where that file is there; damaged-latest.h5 where it is
  // damaged.
  void link_latest(int64_t step) const;
  // Whether latest.h5 is that step's checkpoint.
  bool names(int64_t step) const;

 private:
  struct Descriptor {
    int value = -1;
    Descriptor() = default;
    ~Descriptor() { close(); }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    void close();
  };

  bool hold();  // false where another process does
  void copy_tokenizer() const;

  std::string path_;
  std::string warning_;
  std::string data_folder_;  // of the tokenizer
  std::mutex mutex_;         // of the descriptor
  Descriptor descriptor_;    // of the folder; its lock goes with it
};

// Throws InputError naming the first key in which a resumed run would not be the same run: anything of
// [model], [mup], [data.weights], train.context, train.batch_tokens, train.seed, train.dtype. Other keys may
// change: rates, schedule, intervals, micro_tokens, recompute. Returns those that did, for a note to the
// user.
std::vector<std::string> check_same_run(const Config& stored, const Config& wanted);

}  // namespace dlcm::apps
