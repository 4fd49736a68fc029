#include "apps/training/memory.h"

#include <cmath>

#include <doctest/doctest.h>

#include "apps/training/trainer.h"
#include "tensor/allocator.h"
#include "tests/apps/tiny_model.h"

namespace dlcm::test {
namespace {

using apps::available_memory;
using apps::Config;
using apps::require_training_memory;
using apps::training_memory;

TEST_CASE("training memory: what is needed, what is there and which keys to lower") {
  Config config;
  config.train.micro_tokens = 4096;
  config.train.context = 1024;
  const apps::TrainingMemory needed = training_memory(config);
  CHECK(needed.parameters > 0);
  CHECK(needed.peak() == needed.parameters + needed.activations);  // of several micro-batches
  CHECK_NOTHROW(require_training_memory(config, needed.parameters + needed.activations));
  CHECK_NOTHROW(require_training_memory(config, needed.parameters + 0.91 * needed.activations));
  const auto refused = [&](double available) {
    return message_of<Error>([&] { require_training_memory(config, available); });
  };
  CHECK(contains(refused(needed.parameters - 1), "weights, gradients and moments need "));
  CHECK(contains(refused(needed.parameters - 1), "make the model smaller"));
  const double little = needed.parameters + 0.5 * needed.activations;
  CHECK(contains(refused(little), concat("this machine has ", little * 1e-9, " GB of memory; ")));
  CHECK(contains(refused(little), "lower train.micro_tokens = 4096, or set train.recompute = \"block\""));
  config.train.recompute = nn::Recompute::block;
  CHECK_NOTHROW(require_training_memory(config, little));  // so that the advice is good
  config.train.recompute = nn::Recompute::none;
  config.train.micro_tokens = 1024;
  CHECK_NOTHROW(require_training_memory(config, little));
  config.train.micro_tokens = config.train.context = 4096;
  CHECK(contains(refused(little), "lower train.micro_tokens = 4096 together with train.context = 4096"));
  config.train.batch_tokens = 512;  // no micro-batch is larger than the step
  CHECK_NOTHROW(require_training_memory(config, little));
}

TEST_CASE("training memory: the limit of a control group counts where it is a number") {
  const TemporaryFolder group;
  const double machine = available_memory(group.path());
  CHECK(machine > 0);
  write_bytes(group / "memory.max", "max\n");
  write_bytes(group / "memory.swap.max", "max\n");
  CHECK(available_memory(group.path()) == machine);
  write_bytes(group / "memory.max", "1048576\n");
  write_bytes(group / "memory.swap.max", "0\n");
  CHECK(available_memory(group.path()) == 1048576);
}

// The estimate must not refuse what fits, nor pass what is far from it.
void check_estimate(Config config, int64_t micro_tokens) {
  CAPTURE(config.train.dtype);
  CAPTURE(micro_tokens);
  CAPTURE(config.train.recompute == nn::Recompute::block);
  Allocator& memory = allocator(Device::cpu());
  const int64_t others = memory.statistics().allocated_bytes;
  apps::Trainer trainer(config);
  std::vector<PackedBatch> batches;
  for (int64_t tokens = 0; tokens < 1024; tokens += micro_tokens) {
    batches.push_back(single_document(std::vector<int32_t>(static_cast<size_t>(micro_tokens), 'a')));
  }
  config.train.context = config.train.micro_tokens = micro_tokens;
  config.train.batch_tokens = 1024;
  memory.reset_peak();
  trainer.step(0, batches);
  const auto taken = static_cast<double>(memory.statistics().peak_bytes - others);
  const double estimate = training_memory(config).peak();
  CAPTURE(taken);
  CAPTURE(estimate);
  CHECK(estimate < 1.1 * taken);
  CHECK(estimate > 0.9 * taken);
}

TEST_CASE("training memory: it is near what a step takes" * doctest::test_suite("numerics")) {
  Config config;
  config.model.token.width = 128;
  config.model.token.ff = 512;
  config.model.backbone.width = 192;
  config.model.backbone.heads = 6;
  config.model.backbone.kv_heads = 3;
  config.model.backbone.ff = 512;
  config.model.encoder_layers = config.model.decoder_layers = 2;
  config.model.backbone_layers = 2;
  config.model.boundary.predictor = Predictor::fixed;  // as many concepts as the estimate counts
  for (const DType dtype : {DType::f32, DType::bf16}) {
    config.train.dtype = dtype;
    config.train.recompute = nn::Recompute::none;
    check_estimate(config, 1024);
    check_estimate(config, 256);
    config.train.recompute = nn::Recompute::block;
    check_estimate(config, 1024);
  }
}

}  // namespace
}  // namespace dlcm::test
