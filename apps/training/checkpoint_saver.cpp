#include "apps/training/checkpoint_saver.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "data/atomic_file.h"
#include "tensor/parallel.h"

namespace dlcm::apps {
namespace {

// By all threads: training waits for it.
Tensor copy_of(const Tensor& tensor) {
  const Tensor copy = tensor.empty_like();
  const auto* from = static_cast<const char*>(tensor.raw_data());
  auto* to = static_cast<char*>(copy.raw_data());
  parallel_for(static_cast<int64_t>(tensor.bytes()), int64_t{1} << 20, [&](int64_t begin, int64_t end) {
    std::memcpy(to + begin, from + begin, static_cast<size_t>(end - begin));
  });
  return copy;
}

data::NamedTensors copies_of(const data::NamedTensors& tensors) {
  data::NamedTensors copies;
  for (const auto& [name, tensor] : tensors) copies.emplace_back(name, copy_of(tensor));
  return copies;
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

void CheckpointSaver::start(const data::Checkpoint& checkpoint) {
  DLCM_CHECK(!busy(), "checkpoint: one is being written already");
  const bool beside = mode_ == SaveMode::beside_training;
  checkpoint_ = beside ? data::Checkpoint{checkpoint.header, copies_of(checkpoint.model),
                                          copies_of(checkpoint.moment_m), copies_of(checkpoint.moment_v)}
                       : checkpoint;
  outcome_ = {checkpoint.header.step, {}, {}};
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
  checkpoint_ = {};
  busy_ = false;
  return outcome_;
}

void CheckpointSaver::write() noexcept {
  try {
    write_files();
  } catch (const std::exception& error) {
    outcome_.failure = error.what();
  }
  done_ = true;
}

void CheckpointSaver::write_files() {
  for (const data::NamedTensors* tensors :
       {&checkpoint_.model, &checkpoint_.moment_m, &checkpoint_.moment_v}) {
    for (const auto& [name, values] : *tensors) {
      if (is_finite(values)) continue;
      outcome_.not_finite = name;
      return;
    }
  }
  folder_.restore(config_);
  metrics_.sync();
  const int64_t step = checkpoint_.header.step;
  data::write_checkpoint(data::checkpoint_path(folder_.path(), step), checkpoint_);
  folder_.link_latest(step);
  remove_old();
}

void CheckpointSaver::remove_old() const {
  const auto& [newest, every] = std::pair(config_.train.keep, config_.train.keep_every);
  if (newest == 0) return;
  const std::vector<std::string> all = folder_.checkpoints();  // the newest first
  for (size_t i = static_cast<size_t>(newest); i < all.size(); ++i) {
    const int64_t step = data::step_of_checkpoint(all[i]);
    if (every == 0 || step % every != 0) data::remove_durably(all[i]);
  }
}

}  // namespace dlcm::apps
