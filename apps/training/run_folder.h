// The folder that a run writes: config.toml, metrics.jsonl, samples.jsonl, checkpoints/.
#pragma once

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
  // is no folder; and where latest.h5 is no link (a copied run's is a file) and no whole checkpoint either.
  RunFolder(const std::string& path, Resume resume);
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  const std::string& path() const { return path_; }
  // The checkpoint to go on from: the one that latest.h5 names or, where that link is missing or broken, the
  // one of the latest step. Empty for a run that begins.
  const std::string& checkpoint() const { return checkpoint_; }
  // Every checkpoints/step-*.h5, that of the latest step first. Files have that name only when they are
  // whole.
  std::vector<std::string> checkpoints() const;

  // From here on the folder holds a run: writes config.toml, whole or not at all, and makes checkpoints/.
  // Where `changed_at` is not negative the old file is kept as config-until-step-N.toml.
  void begin(const Config& config, int64_t changed_at = -1) const;
  // A copy of the tokenizer.json beside the shards, where there is one: text is made and read with it.
  void take_tokenizer(const std::string& data_folder) const;
  // The same where the folder was lost meanwhile: makes what is missing.
  void restore(const Config& config) const;

  // Makes latest.h5 name that step's checkpoint, which is written already. Where latest.h5 is itself a file
  // it first gets the name of its own step, or goes where that file is there.
  void link_latest(int64_t step);

 private:
  std::string path_;
  std::string checkpoint_;
  int64_t copied_step_ = -1;  // of a latest.h5 that is a file, not a link
  int descriptor_ = -1;       // of the folder; its lock goes with the process
};

// Throws InputError naming the first key in which a resumed run would not be the same run: anything of
// [model], [mup], [data.weights], train.context, train.batch_tokens, train.seed, train.dtype. Other keys may
// change: rates, schedule, intervals, micro_tokens, recompute. Returns those that did, for a note to the
// user.
std::vector<std::string> check_same_run(const Config& stored, const Config& wanted);

}  // namespace dlcm::apps
