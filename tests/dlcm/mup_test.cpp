// Coordinate check of decoupled muP (section 10; Yang & Hu et al., arXiv 2203.03466, appendix D): after a few
// steps of training the size of every activation is the same at any width, so that rates found at a small
// width hold at a large one.
#include <cmath>
#include <map>

#include <doctest/doctest.h>

#include "apps/training/trainer.h"
#include "autograd/ops.h"
#include "autograd/tape.h"
#include "dlcm/model.h"
#include "tests/dlcm/small_model.h"

namespace dlcm {
namespace {

using nn::Variable;

constexpr int64_t kHeadDim = 16;
constexpr int64_t kSteps = 5;
constexpr int64_t kVocabulary = 32;

// Of the width that does not vary. A matrix from one width to the other (W_up; W_K and W_V of the
// cross-attention) starts with the deviation 1 / sqrt(fan-in) whatever its fan-out, which is right as long as
// the fan-out is not much smaller; where it is, the matrix acts as an output layer, whose deviation would
// have to be 1 / fan-in. (Measured with d = 32 and D from 48 to 768: the cross-attention's slope is 0.17, and
// -0.05 once W_K and W_V start with a further factor 1 / sqrt(s_concept).) So these are as large as the
// varied widths' middle.
constexpr int64_t kTokenWidth = 128;
constexpr int64_t kConceptWidth = 96;

enum class Varied { token_width, concept_width };

// The program's own rates (3e-3): the updates of 5 steps outweigh the initial values, which are sized right
// with muP or without. At higher ones widths as small as these differ by chance (measured at 0.01: 0.14 for
// the backbone); at lower ones less of the difference is seen.
apps::Config config_of(Varied varied, int64_t width, bool mup, int64_t seed) {
  const int64_t d = varied == Varied::token_width ? width : kTokenWidth;
  const int64_t wide = varied == Varied::concept_width ? width : kConceptWidth;
  apps::Config config;
  config.model.vocab_size = kVocabulary;
  config.model.token = {d, d / kHeadDim, d / kHeadDim, d};
  config.model.backbone = {wide, wide / kHeadDim, wide / kHeadDim, wide};
  config.model.encoder_layers = config.model.backbone_layers = config.model.decoder_layers = 1;
  config.model.mup = {mup, 32, 48};
  config.schedule = {1000, 0, 0.1, optim::DecayShape::sqrt};
  config.train.seed = seed;
  return config;
}

// The model's own modules once more, to look between them.
class Probe : public nn::Module {
 public:
  explicit Probe(LanguageModel& model)
      : model_(model),
        encoder_(*this, "encoder", block(model.config().token, nn::Width::token), nn::FinalNorm::no),
        backbone_(*this, "backbone", block(model.config().backbone, nn::Width::concepts), nn::FinalNorm::no),
        smoothing_(*this, "smoothing", model.config()),
        cross_attention_(*this, "cross_attention", model.config()),
        decoder_(*this, "decoder", block(model.config().token, nn::Width::token), nn::FinalNorm::no) {
    for (nn::Parameter* parameter : parameters())
      parameter->set_value(model.parameter(parameter->path()).value());
  }

  // Residual streams are taken before their final norm, which would hide their size.
  std::map<std::string, Tensor> activations(const PackedBatch& batch, const Tensor& boundary) const {
    const autograd::NoGrad no_grad;
    std::map<std::string, Tensor> found;
    const Variable x = autograd::embedding(batch.tokens, model_.parameter("embedding").variable());
    const nn::SequenceLayout layout = encoder_.layout_for(batch.cu_seqlens, DType::f32);
    const Variable h = encoder_.forward(x, layout, nn::Recompute::none);
    const Segmentation segmentation = segment(boundary, batch.cu_seqlens);
    const Variable pooled = autograd::segment_mean(h, segmentation.offsets);
    const Variable concepts = autograd::linear(pooled, model_.parameter("concept_proj").variable());
    const Variable residual = backbone_.forward(
        concepts, backbone_.layout_for(segmentation.cu_seqlens, DType::f32), nn::Recompute::none);
    const Variable z =
        smoothing_.forward(normalized(residual, "backbone/norm"), Variable(), segmentation.cu_seqlens);
    const Variable y = cross_attention_.forward(h, z, segmentation, batch.cu_seqlens, Variable()).value();
    const Variable decoded = decoder_.forward(y, layout, nn::Recompute::none);
    const Variable hidden = normalized(decoded, "decoder/norm");
    found["encoder"] = h.value();
    found["concepts pooled"] = concepts.value();
    found["backbone"] = residual.value();
    found["concepts smoothed"] = z.value();
    found["cross-attention"] = y.value();
    found["decoder"] = decoded.value();
    found["hidden"] = hidden.value();
    found["logits"] = model_.logits(hidden.value());
    return found;
  }

 private:
  static nn::BlockConfig block(const StackConfig& stack, nn::Width width) {
    return {stack.width, stack.heads, stack.kv_heads, stack.ff, width, 1};
  }
  Variable normalized(const Variable& x, const std::string& gain) const {
    return autograd::rms_norm(x, model_.parameter(gain).variable(), nn::kNormEpsilon);
  }

  LanguageModel& model_;
  nn::Stack encoder_, backbone_;
  ConceptSmoothing smoothing_;
  CrossAttention cross_attention_;
  nn::Stack decoder_;
};

double mean_size(const Tensor& x) {
  double sum = 0;
  for (const float value : x.to_vector<float>()) sum += std::abs(value);
  return sum / static_cast<double>(x.numel());
}

// The same boundaries at every width: every third token of each document.
Tensor boundaries_of(const test::Documents& documents) {
  std::vector<uint8_t> boundary;
  for (const std::vector<int32_t>& document : documents) {
    for (size_t t = 0; t < document.size(); ++t) boundary.push_back(t % 3 == 0 ? 1 : 0);
  }
  return Tensor::from(boundary);
}

// Mean size of each activation after training on one small batch of random tokens. Fewer tokens than the
// smallest width has elements: else their contributions to an update interfere, the more the narrower it is.
std::map<std::string, double> sizes_after_training(const apps::Config& config) {
  const test::Documents documents = test::random_documents({8, 8}, kVocabulary, 77);
  const PackedBatch batch = test::packed(documents);
  const Tensor boundary = boundaries_of(documents);
  apps::Trainer trainer(config);
  for (int64_t step = 0; step < kSteps; ++step) trainer.step(step, {batch}, {boundary});
  std::map<std::string, double> sizes;
  const std::map<std::string, Tensor> found = Probe(trainer.model()).activations(batch, boundary);
  for (const auto& [name, activation] : found) sizes[name] = mean_size(activation);
  ForwardOptions options;
  options.boundary = boundary;
  const autograd::NoGrad no_grad;
  const Tensor hidden = trainer.model().forward(batch, options).hidden.value();
  CHECK(test::bit_equal(hidden, found.at("hidden")));  // the probe computes what the model computes
  return sizes;
}

// Slope of log size against log width, least squares, sizes averaged over seeds.
std::map<std::string, double> slopes(Varied varied, const std::vector<int64_t>& widths, bool mup) {
  constexpr int64_t kSeeds = 3;
  std::map<std::string, std::vector<double>> logs;
  for (const int64_t width : widths) {
    std::map<std::string, double> sum;
    for (int64_t seed = 1; seed <= kSeeds; ++seed) {
      for (const auto& [name, size] : sizes_after_training(config_of(varied, width, mup, seed)))
        sum[name] += size;
    }
    for (const auto& [name, total] : sum) logs[name].push_back(std::log(total / kSeeds));
  }
  double mean_x = 0;
  for (const int64_t width : widths) mean_x += std::log(static_cast<double>(width));
  mean_x /= static_cast<double>(widths.size());
  std::map<std::string, double> result;
  for (const auto& [name, values] : logs) {
    double products = 0, squares = 0;
    for (size_t i = 0; i < widths.size(); ++i) {
      const double x = std::log(static_cast<double>(widths[i])) - mean_x;
      products += x * values[i];
      squares += x * x;
    }
    result[name] = products / squares;
  }
  return result;
}

// Slopes with muP, and without it at the same rates.
struct Check {
  std::map<std::string, double> on, off;
};

Check check_of(Varied varied, const std::vector<int64_t>& widths) {
  const Check check = {slopes(varied, widths, true), slopes(varied, widths, false)};
  CHECK(check.on.size() == 8);
  for (const auto& [name, slope] : check.on)
    CHECK_MESSAGE(std::abs(slope) < 0.1, name, ": slope ", slope, " (without muP ", check.off.at(name), ")");
  return check;
}

TEST_CASE("muP: activation sizes do not depend on the token width; without it they grow" *
          doctest::test_suite("numerics")) {
  const Check check = check_of(Varied::token_width, {32, 64, 128, 256});
  CHECK(check.off.at("encoder") > 0.25);
  CHECK(check.off.at("concepts pooled") > 0.25);
  CHECK(check.off.at("cross-attention") > 0.15);
  CHECK(check.off.at("logits") > 0.5);
}

TEST_CASE("muP: activation sizes do not depend on the concept width; without it they grow" *
          doctest::test_suite("numerics")) {
  const Check check = check_of(Varied::concept_width, {48, 96, 192, 384});
  CHECK(check.off.at("backbone") > 0.25);
  CHECK(check.off.at("cross-attention") > 0.15);
}

}  // namespace
}  // namespace dlcm
