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
TEST_CASE("training memory: it is near what a step takes") {
  Config config;
  config.model.token.width = 64;
  config.model.token.ff = 256;
  config.model.backbone.width = 128;
  config.model.backbone.ff = 256;
  config.model.encoder_layers = config.model.decoder_layers = 1;
  config.model.backbone_layers = 2;
  config.model.boundary.predictor = Predictor::fixed;  // as many concepts as the estimate counts
  apps::Trainer trainer(config);
  std::vector<int32_t> text(1024, 'a');
  const PackedBatch batch = single_document(text);
  config.train.micro_tokens = config.train.batch_tokens = 1024;
  config.train.context = 1024;
  Allocator& memory = allocator(Device::cpu());
  const int64_t others = memory.statistics().allocated_bytes;  // with weights and moments
  memory.reset_peak();
  trainer.step(0, {batch});
  const apps::TrainingMemory needed = training_memory(config);
  const double taken = static_cast<double>(memory.statistics().peak_bytes - others);
  const double estimate = needed.parameters / 4 + needed.activations;  // gradients and activations
  CAPTURE(taken);
  CAPTURE(estimate);
  CHECK(estimate < 1.1 * taken);
  CHECK(estimate > 0.6 * taken);
}

}  // namespace
}  // namespace dlcm::test
