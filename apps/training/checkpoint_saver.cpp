#include "apps/training/checkpoint_saver.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <vector>

#include "data/atomic_file.h"
#include "tensor/parallel.h"

namespace dlcm::apps {
namespace {

std::array<data::NamedTensors*, 3> parts_of(data::Checkpoint& checkpoint) {
  return {&checkpoint.model, &checkpoint.moment_m, &checkpoint.moment_v};
}

// Tensors of the same shapes, without values.
data::Checkpoint empty_like(data::Checkpoint checkpoint) {
  for (data::NamedTensors* tensors : parts_of(checkpoint)) {
    for (auto& [name, tensor] : *tensors) tensor = tensor.empty_like();
  }
  return checkpoint;
}

// By all threads: training waits for it.
void copy_into(const Tensor& copy, const Tensor& tensor) {
  const auto* from = static_cast<const char*>(tensor.raw_data());
  auto* to = static_cast<char*>(copy.raw_data());
  parallel_for(static_cast<int64_t>(tensor.bytes()), int64_t{1} << 20, [&](int64_t begin, int64_t end) {
    std::memcpy(to + begin, from + begin, static_cast<size_t>(end - begin));
  });
}

// Not by ops::all_finite: the pool of threads is training's.
bool is_finite(const Tensor& tensor) {
  const float* values = tensor.data<float>();
  return std::all_of(values, values + tensor.numel(), [](float value) { return std::isfinite(value); });
}

}  // namespace

CheckpointSaver::CheckpointSaver(RunFolder& folder, const MetricsLog& metrics, const Config& config,
                                 SaveMode mode)
    : folder_(folder), metrics_(metrics), config_(config), mode_(mode) {}

CheckpointSaver::~CheckpointSaver() {
  if (thread_.joinable()) thread_.join();
}

void CheckpointSaver::prepare(const data::Checkpoint& checkpoint) {
  if (mode_ != SaveMode::beside_training) return;
  checkpoint_ = empty_like(checkpoint);
  thread_ = std::thread([this] {
    for (const data::NamedTensors* tensors : parts_of(checkpoint_)) {
      for (const auto& [name, tensor] : *tensors) std::memset(tensor.raw_data(), 0, tensor.bytes());
    }
  });
}

void CheckpointSaver::take_copy(data::Checkpoint checkpoint) {
  if (checkpoint_.model.empty()) checkpoint_ = empty_like(checkpoint);
  const auto from = parts_of(checkpoint), to = parts_of(checkpoint_);
  for (size_t part = 0; part < from.size(); ++part) {
    for (size_t i = 0; i < from[part]->size(); ++i) {
      copy_into((*to[part])[i].second, (*from[part])[i].second);
    }
  }
  checkpoint_.header = checkpoint.header;
}

void CheckpointSaver::start(const data::Checkpoint& checkpoint) {
  DLCM_CHECK(!busy(), "checkpoint: one is being written already");
  const bool beside = mode_ == SaveMode::beside_training;
  if (thread_.joinable()) thread_.join();  // of prepare()
  if (beside) {
    take_copy(checkpoint);
  } else {
    checkpoint_ = checkpoint;
  }
  outcome_ = {checkpoint.header.step, {}, {}, {}};
  done_ = false;
  if (beside) {
    thread_ = std::thread([this] { write(); });
  } else {
    write();
  }
  busy_ = true;
}

std::optional<SaveOutcome> CheckpointSaver::poll() {
  if (!busy_ || !done_) return std::nullopt;
  return wait();
}

SaveOutcome CheckpointSaver::wait() {
  if (thread_.joinable()) thread_.join();
  if (mode_ == SaveMode::within_step) checkpoint_ = {};
  busy_ = false;
  return outcome_;
}

void CheckpointSaver::write() noexcept {
  const int64_t step = checkpoint_.header.step;
  std::string prefix = concat("no checkpoint of step ", step, ": ");
  try {
    write_files();
    if (outcome_.not_finite.empty()) {
      prefix = concat("the checkpoint of step ", step, " is written, but not named by latest.h5: ");
      folder_.hold_again();
      folder_.link_latest(step);
      remove_old();
    }
  } catch (const std::exception& error) {
    outcome_.failure = prefix + error.what();
  }
  done_ = true;
}

void CheckpointSaver::write_files() {
  for (const data::NamedTensors* tensors : parts_of(checkpoint_)) {
    for (const auto& [name, values] : *tensors) {
      if (is_finite(values)) continue;
      outcome_.not_finite = name;
      return;
    }
  }
  folder_.hold_again();
  folder_.restore(config_);
  folder_.hold_again();  // what was made
  metrics_.sync();
  data::write_checkpoint(data::checkpoint_path(folder_.path(), checkpoint_.header.step), checkpoint_);
}

// One that cannot be removed costs nothing but room. Files of later steps are none of this run's.
void CheckpointSaver::remove_old() {
  const auto& [newest, every] = std::pair(config_.train.keep, config_.train.keep_every);
  if (newest == 0) return;
  int64_t rank = 0;
  for (const std::string& path : folder_.checkpoints()) {  // the newest first
    const int64_t step = data::step_of_checkpoint(path);
    if (step > checkpoint_.header.step || rank++ < newest || (every != 0 && step % every == 0)) continue;
    try {
      data::remove_durably(path);
    } catch (const Error& error) {
      outcome_.warning = error.what();
    }
  }
}

}  // namespace dlcm::apps
