#include "dlcm/smoothing.h"

#include <doctest/doctest.h>

#include "tests/dlcm/small_model.h"

namespace dlcm {
namespace {

struct Holder : nn::Module {
  ConceptSmoothing smoothing;
  explicit Holder(const ModelConfig& config) : smoothing(*this, "smoothing", config) {}
};

ModelConfig config_of(Smoothing kind) {
  ModelConfig config = test::small_config();
  config.smoothing = kind;
  return config;
}

Tensor probabilities(int64_t count) {
  Tensor p = Tensor::empty({count});
  for (int64_t i = 0; i < count; ++i)
    p.data<float>()[i] = random_uniform(4, RandomStream::tests, 0, static_cast<uint64_t>(i));
  return p;
}

constexpr int64_t kConcepts = 9;

// Three documents of 4, 1 and 4 concepts.
Tensor documents() {
  return Tensor::from<int32_t>({0, 4, 5, 9});
}

TEST_CASE("concept by concept equals the batch, for every kind and document") {
  for (const Smoothing kind : test::kSmoothings) {
    CAPTURE(static_cast<int>(kind));
    const ModelConfig config = config_of(kind);
    Holder holder(config);
    test::randomize(holder, 3, DType::f32);
    const int64_t width = config.backbone.width;
    const Tensor z = test::random_tensor({kConcepts, width}, DType::f32, 5);
    const Tensor p = probabilities(kConcepts);
    const Tensor batch = holder.smoothing.forward(nn::Variable(z), nn::Variable(p), documents()).value();
    const Tensor steps = z.clone();
    const std::vector<int32_t> offsets = documents().to_vector<int32_t>();
    for (size_t document = 0; document + 1 < offsets.size(); ++document) {
      SmoothingState state;
      for (int32_t k = offsets[document]; k < offsets[document + 1]; ++k)
        holder.smoothing.step(steps.data<float>() + k * width, p.data<float>()[k], state);
    }
    CHECK_CLOSE(steps, batch, 1e-6);
  }
}

TEST_CASE("steps go on from what a batch left behind") {
  for (const Smoothing kind : test::kSmoothings) {
    CAPTURE(static_cast<int>(kind));
    const ModelConfig config = config_of(kind);
    Holder holder(config);
    test::randomize(holder, 3, DType::f32);
    const int64_t width = config.backbone.width;
    const Tensor z = test::random_tensor({kConcepts, width}, DType::f32, 6);
    const Tensor p = probabilities(kConcepts);
    const Tensor one_document = Tensor::from<int32_t>({0, static_cast<int32_t>(kConcepts)});
    const Tensor batch = holder.smoothing.forward(nn::Variable(z), nn::Variable(p), one_document).value();
    for (int64_t row = 0; row + 1 < kConcepts; ++row) {
      SmoothingState state;
      holder.smoothing.remember(z, batch, row, state);
      const Tensor next = z.slice(row + 1, row + 2).clone();
      holder.smoothing.step(next.data<float>(), p.data<float>()[row + 1], state);
      CHECK_CLOSE(next, batch.slice(row + 1, row + 2), 1e-6);
    }
  }
}

TEST_CASE("blend starts with a tenth of the previous concept; the first of a document stays") {
  Holder holder(config_of(Smoothing::blend));
  holder.initialize(1);
  const Tensor z = test::random_tensor({kConcepts, 24}, DType::f32, 7);
  const Tensor found =
      holder.smoothing.forward(nn::Variable(z), nn::Variable(probabilities(kConcepts)), documents()).value();
  Tensor expected = z.clone();
  for (const int64_t k : {1, 2, 3, 6, 7, 8}) {
    for (int64_t i = 0; i < 24; ++i) {
      expected.data<float>()[k * 24 + i] =
          0.9f * z.data<float>()[k * 24 + i] + 0.1f * z.data<float>()[(k - 1) * 24 + i];
    }
  }
  CHECK_CLOSE(found, expected, 1e-6);
}

}  // namespace
}  // namespace dlcm
