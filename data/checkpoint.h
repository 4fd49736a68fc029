// Checkpoints (section 16 of the specification): HDF5 files with
//   /model/<parameter path>              float32, the parameter's shape
//   /optimizer/<parameter path>/{m,v}    float32, the same shape: AdamW's moments
// and the attributes format = "dlcm-checkpoint", version = 1, config (the full TOML), step, tokens_seen,
// loader_cursor (int64, Loader::cursor), seed (the random state: all random numbers are pure functions of it
// and of positions), and whatever text attributes the program adds (tokenizer, muP multipliers).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "data/hdf5_file.h"
#include "tensor/tensor.h"

namespace dlcm::data {

inline constexpr char kCheckpointFormat[] = "dlcm-checkpoint";
inline constexpr int64_t kCheckpointVersion = 1;

// Parameter path ("encoder/layers/0/attention/q_proj") and values, in any order.
using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

struct CheckpointHeader {
  std::string config;
  int64_t step = 0;
  int64_t tokens_seen = 0;
  std::vector<int64_t> loader_cursor;
  int64_t seed = 0;
  std::map<std::string, std::string> extra;  // further text attributes
};

struct Checkpoint {
  CheckpointHeader header;
  NamedTensors model;
  NamedTensors moment_m;  // both empty, or each with the names of `model`
  NamedTensors moment_v;
};

// Atomically (data/atomic_file.h), after taking the disk space of all of it. Tensors are float32, on any
// device; one at a time is copied to the host. Throws Error.
void write_checkpoint(const std::string& path, const Checkpoint& checkpoint);

// Opening verifies the file; tensors are read straight to where they belong, so that loading takes no memory
// beside them.
class CheckpointReader {
 public:
  explicit CheckpointReader(const std::string& path);
  const std::string& path() const { return file_.path(); }
  const CheckpointHeader& header() const { return header_; }
  bool has_optimizer() const { return has_optimizer_; }
  // Parameter paths and shapes, sorted by path.
  const std::vector<std::pair<std::string, Shape>>& parameters() const { return parameters_; }

  // Fill a float32 tensor on any device. Throw InputError where the file has no such parameter or another
  // shape.
  void read_parameter(const std::string& name, const Tensor& destination) const;
  void read_moments(const std::string& name, const Tensor& m, const Tensor& v) const;
  // Throws InputError that lists what is missing and what is unknown, unless the file holds exactly these.
  void require_parameters(const std::vector<std::string>& names) const;

 private:
  void read_into(const std::string& dataset, const Tensor& destination) const;

  Hdf5Reader file_;
  CheckpointHeader header_;
  std::vector<std::pair<std::string, Shape>> parameters_;
  bool has_optimizer_ = false;
};

enum class CheckpointPart : uint8_t { model, everything };
// On the CPU. `everything` of a checkpoint without moments is an InputError.
Checkpoint read_checkpoint(const std::string& path, CheckpointPart part);

// RUN_DIR/checkpoints/step-00001000.h5
std::string checkpoint_path(const std::string& run_folder, int64_t step);
// 1000 of that path, -1 where it has no such name.
int64_t step_of_checkpoint(const std::string& path);
// Makes RUN_DIR/checkpoints/latest.h5 a relative link to that step's file, in one step.
void link_latest_checkpoint(const std::string& run_folder, int64_t step);
// The checkpoint that a user names by its file or by the run's folder. Throws InputError that says what is
// missing.
std::string newest_checkpoint(const std::string& file_or_run_folder);

}  // namespace dlcm::data
