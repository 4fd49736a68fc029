// Memory of a training step: it grows with the tokens, not with their square, and is less where blocks are
// computed again.
#include <doctest/doctest.h>

#include "dlcm/training_pass.h"
#include "tensor/allocator.h"
#include "tests/dlcm/small_model.h"

namespace dlcm {
namespace {

// Bytes of tensors at the peak of a step with one document, beside weights and gradients.
double peak_of(const ModelConfig& config, int64_t tokens, nn::Recompute recompute, DType dtype = DType::f32) {
  const std::unique_ptr<LanguageModel> model = test::random_model(config, 3, dtype);
  const PackedBatch batch = test::packed({test::random_tokens(tokens, config.vocab_size, 4)});
  ForwardOptions options;
  options.mode = Mode::train;
  options.recompute = recompute;
  Allocator& memory = allocator(Device::cpu());
  memory.reset_peak();
  const int64_t before = memory.statistics().allocated_bytes;
  accumulate_gradients(*model, {batch}, options);
  return static_cast<double>(memory.statistics().peak_bytes - before);
}

ModelConfig config_of(ModelKind kind) {
  ModelConfig config = test::small_config();
  config.kind = kind;
  config.boundary.predictor = Predictor::fixed;  // as many concepts in each run
  return config;
}

TEST_CASE("memory of a step: linear in the tokens, as no tensor is T x T or T x M" *
          doctest::test_suite("numerics")) {
  for (const ModelKind kind : {ModelKind::dlcm, ModelKind::transformer}) {
    const ModelConfig config = config_of(kind);
    for (const DType dtype : {DType::f32, DType::bf16}) {
      CAPTURE(dtype);
      const double growth = peak_of(config, 2048, nn::Recompute::none, dtype) /
                            peak_of(config, 512, nn::Recompute::none, dtype);
      CAPTURE(growth);
      CHECK(growth > 3);
      CHECK(growth < 4.5);
    }
  }
  // So that a tensor of T x M would be seen.
  ModelConfig dense = config_of(ModelKind::dlcm);
  dense.cross_attention.implementation = CrossImplementation::dense;
  CHECK(peak_of(dense, 2048, nn::Recompute::none) / peak_of(dense, 512, nn::Recompute::none) > 5);
}

TEST_CASE("memory of a step: recompute = block keeps less" * doctest::test_suite("numerics")) {
  for (const ModelKind kind : {ModelKind::dlcm, ModelKind::transformer}) {
    ModelConfig config = config_of(kind);
    config.encoder_layers = config.decoder_layers = config.backbone_layers = 4;
    config.layers = 8;
    const double share =
        peak_of(config, 512, nn::Recompute::block) / peak_of(config, 512, nn::Recompute::none);
    CAPTURE(share);
    CHECK(share < 0.6);
  }
}

}  // namespace
}  // namespace dlcm
