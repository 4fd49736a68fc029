// Models and batches for the tests of properties that hold for any weights: small, random in every parameter,
// with boundaries that vary.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "dlcm/language_model.h"
#include "tensor/random.h"
#include "tests/op_check.h"

namespace dlcm::test {

inline constexpr Predictor kPredictors[] = {Predictor::decoupled, Predictor::learned, Predictor::cosine,
                                            Predictor::fixed, Predictor::none};
inline constexpr Smoothing kSmoothings[] = {Smoothing::blend, Smoothing::ema, Smoothing::none};
inline constexpr Weighting kWeightings[] = {Weighting::uniform, Weighting::length};

// Different widths and head counts everywhere, multipliers that are not 1, R that is no whole number.
inline ModelConfig small_config() {
  ModelConfig config;
  config.vocab_size = 29;
  config.token = {16, 4, 2, 20};
  config.encoder_layers = 2;
  config.decoder_layers = 1;
  config.layers = 2;
  config.backbone = {24, 2, 1, 28};
  config.backbone_layers = 2;
  config.boundary.tokens_per_concept = 2.5;
  config.mup = {true, 8, 16};
  return config;
}

// The same with heads of their own width, another rotary base and epsilon, and tied embeddings.
inline ModelConfig uncommon_config(ModelKind kind) {
  ModelConfig config = small_config();
  config.kind = kind;
  config.token.own_head_dim = 6;      // heads wider than the token width together
  config.backbone.own_head_dim = 10;  // narrower than the concept width
  config.rope_base = 300;
  config.norm_epsilon = 1e-3;
  config.tied_embeddings = true;
  config.cross_attention.rope = CrossRope::concept_index;
  config.cross_attention.ff = 12;
  return config;
}

// The initial values leave out much: unembedding 0, boundary projections the identity, gains 1, and
// embeddings so small that the blocks drown them. Here every parameter is random, and since embeddings of
// unit size are nearly orthogonal, p spreads around 0.5.
inline void randomize(nn::Module& model, uint64_t seed, DType dtype) {
  model.initialize(seed, dtype);
  for (nn::Parameter* parameter : model.parameters()) {
    const uint64_t own = seed + hash_name(parameter->path());
    const Tensor noise = random_tensor(parameter->shape(), DType::f32, own).to(DType::f64);
    const Tensor value = parameter->value().to(DType::f64).clone();
    const bool square = parameter->role().kind == nn::RoleKind::boundary;
    double scale = 0;
    if (parameter->role().kind == nn::RoleKind::embedding) scale = 1.0;
    if (parameter->role().kind == nn::RoleKind::tied) scale = 1.0;
    if (parameter->role().kind == nn::RoleKind::unembedding) scale = 0.5;
    if (parameter->role().kind == nn::RoleKind::vector) scale = 0.2;
    if (square) scale = 1.0 / std::sqrt(static_cast<double>(parameter->shape()[0]));
    for (int64_t i = 0; i < value.numel(); ++i) value.data<double>()[i] += scale * noise.data<double>()[i];
    parameter->set_value(value.to(dtype));
  }
}

// bf16: values in f32, operands of matrix products rounded.
inline std::unique_ptr<LanguageModel> random_model(const ModelConfig& config, uint64_t seed,
                                                   DType dtype = DType::f32) {
  std::unique_ptr<LanguageModel> model = make_model(config);
  randomize(*model, seed, dtype == DType::bf16 ? DType::f32 : dtype);
  model->round_operands(dtype);
  return model;
}

inline std::vector<int32_t> random_tokens(int64_t count, int64_t vocab_size, uint64_t seed) {
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < count; ++i) {
    const uint64_t bits = random_bits(seed, RandomStream::tests, 1, static_cast<uint64_t>(i));
    tokens.push_back(static_cast<int32_t>(bits % static_cast<uint64_t>(vocab_size)));
  }
  return tokens;
}

using Documents = std::vector<std::vector<int32_t>>;

inline Documents random_documents(const std::vector<int64_t>& lengths, int64_t vocab_size, uint64_t seed) {
  Documents documents;
  for (const int64_t length : lengths) {
    documents.push_back(random_tokens(length, vocab_size, seed + 1000 * (documents.size() + 1)));
  }
  return documents;
}

// Documents laid end to end; the first has the number `first_sample` in the order of the data.
inline PackedBatch packed(const Documents& documents, int64_t first_sample = 0) {
  std::vector<int32_t> tokens, targets, offsets = {0};
  std::vector<int64_t> samples;
  for (const std::vector<int32_t>& document : documents) {
    tokens.insert(tokens.end(), document.begin(), document.end());
    for (size_t t = 0; t < document.size(); ++t)
      targets.push_back(t + 1 < document.size() ? document[t + 1] : -1);
    offsets.push_back(static_cast<int32_t>(tokens.size()));
    samples.push_back(first_sample + static_cast<int64_t>(samples.size()));
  }
  return {Tensor::from(tokens), Tensor::from(targets), Tensor::from(offsets), Tensor::from(samples)};
}

// Names a configuration in a failure's message.
inline std::string describe(const ModelConfig& config) {
  if (config.kind == ModelKind::transformer) return "transformer";
  const auto number = [](auto value) { return std::to_string(static_cast<int>(value)); };
  return "predictor " + number(config.boundary.predictor) + ", scope " + number(config.boundary.scope) +
         ", visibility " + number(config.cross_attention.visibility) + ", weighting " +
         number(config.cross_attention.weighting) + ", rope " + number(config.cross_attention.rope) +
         ", ff " + std::to_string(config.cross_attention.ff) + ", implementation " +
         number(config.cross_attention.implementation) + ", smoothing " + number(config.smoothing);
}

}  // namespace dlcm::test
