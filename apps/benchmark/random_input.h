// Inputs to measure with: values do not matter, sizes do.
#pragma once

#include "apps/common/config.h"
#include "tensor/batch.h"
#include "tensor/tensor.h"

namespace dlcm::apps {

// Uniform in [-1, 1), f32.
Tensor random_tensor(Shape shape, uint64_t seed);

// Uniform in [0, vocabulary).
std::vector<int32_t> random_tokens(int64_t count, int64_t vocabulary, uint64_t seed);

// The batches of one optimizer step: documents of train.context tokens, the last one shorter, that fill
// train.batch_tokens, in batches of at most train.micro_tokens.
std::vector<PackedBatch> random_batches(const Config& config, uint64_t seed);

// The same that fill one batch of train.micro_tokens.
PackedBatch random_batch(const Config& config, uint64_t seed);

// Whether the model's boundaries depend on weights: before training they are nowhere near one in R tokens.
bool has_untrained_boundaries(const ModelConfig& config);

// [T] u8: a boundary at each document's first token, and elsewhere once in tokens_per_concept on average.
Tensor random_boundaries(const Tensor& cu_seqlens, double tokens_per_concept, uint64_t seed);

}  // namespace dlcm::apps
