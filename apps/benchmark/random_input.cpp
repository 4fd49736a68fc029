#include "apps/benchmark/random_input.h"

#include <algorithm>

#include "data/packing.h"
#include "tensor/random.h"

namespace dlcm::apps {
namespace {

uint64_t index_of(size_t i) {
  return static_cast<uint64_t>(i);
}

std::vector<PackedBatch> batches_of(const Config& config, int64_t tokens, uint64_t seed) {
  const TrainConfig& train = config.train;
  const int64_t longest = std::min(train.context, train.micro_tokens);
  std::vector<data::Piece> pieces;
  for (int64_t left = tokens; left > 0; left -= pieces.back().size()) {
    data::Piece piece;
    piece.sample = static_cast<int64_t>(pieces.size());
    piece.tokens = random_tokens(std::min(left, longest), config.model.vocab_size, seed + pieces.size());
    piece.following = 0;  // as if the document went on: every token predicts
    pieces.push_back(std::move(piece));
  }
  return data::micro_batches(pieces, train.micro_tokens);
}

}  // namespace

Tensor random_tensor(Shape shape, uint64_t seed) {
  const Tensor tensor = Tensor::empty(std::move(shape));
  float* values = tensor.data<float>();
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    values[i] = 2 * random_uniform(seed, RandomStream::tests, 0, static_cast<uint64_t>(i)) - 1;
  }
  return tensor;
}

std::vector<int32_t> random_tokens(int64_t count, int64_t vocabulary, uint64_t seed) {
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  for (size_t i = 0; i < tokens.size(); ++i) {
    const uint64_t bits = random_bits(seed, RandomStream::tests, 1, index_of(i));
    tokens[i] = static_cast<int32_t>(bits % static_cast<uint64_t>(vocabulary));
  }
  return tokens;
}

std::vector<PackedBatch> random_batches(const Config& config, uint64_t seed) {
  return batches_of(config, config.train.batch_tokens, seed);
}

PackedBatch random_batch(const Config& config, uint64_t seed) {
  return batches_of(config, config.train.micro_tokens, seed).front();
}

bool has_untrained_boundaries(const ModelConfig& config) {
  const Predictor predictor = config.boundary.predictor;
  return config.kind == ModelKind::dlcm && predictor != Predictor::fixed && predictor != Predictor::none;
}

Tensor random_boundaries(const Tensor& cu_seqlens, double tokens_per_concept, uint64_t seed) {
  const int32_t* offsets = cu_seqlens.data<int32_t>();
  const int64_t documents = cu_seqlens.numel() - 1;
  const Tensor boundary = Tensor::empty({offsets[documents]}, DType::u8);
  for (int64_t t = 0; t < boundary.numel(); ++t) {
    const double drawn = random_uniform(seed, RandomStream::tests, 2, static_cast<uint64_t>(t));
    boundary.data<uint8_t>()[t] = drawn < 1 / tokens_per_concept ? 1 : 0;
  }
  for (int64_t document = 0; document < documents; ++document)
    boundary.data<uint8_t>()[offsets[document]] = 1;
  return boundary;
}

}  // namespace dlcm::apps
