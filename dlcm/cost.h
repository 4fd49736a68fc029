// What a model costs before it is built: parameters, bytes and FLOPs by part (section 14). Computed from the
// module tree and the configuration; nothing is allocated.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dlcm/language_model.h"

namespace dlcm {

// The target R; 1 where every token is a concept. A run whose concepts are shorter, as `cosine` may make them
// or an untrained predictor, costs more.
double expected_tokens_per_concept(const BoundaryConfig& config);

// The FLOPs of one token's forward pass; a multiply-add counts 2. The backbone's are divided by R.
struct TokenFlops {
  double matrices = 0;  // 2 x elements of every matrix that the token meets
  double self_attention =
      0;  // scores and weighted sums over the keys seen on average in a document of `context` tokens
  double cross_attention = 0;  // likewise over concepts
  double logits = 0;
  double total() const { return matrices + self_attention + cross_attention + logits; }
};

struct PartCost {
  std::string name;  // first component of the parameters' paths: "embedding", "encoder", ...
  int64_t parameters = 0;
  int64_t operands = 0;                   // of those, elements that have a rounded copy for products
  TokenFlops flops;                       // forward, per token
  double activation_bytes_per_token = 0;  // held where a step holds the most: what is kept for backward, and
                                          // what its last block works with
};

struct ModelCost {
  std::vector<PartCost> parts;
  int64_t parameters = 0;
  int64_t operands = 0;
  TokenFlops forward;  // per token; training costs three times as much, four with recomputation by block
  double activation_bytes_per_token = 0;
};

// Documents of `context` tokens, products in `dtype`: f32 or bf16; concepts of `tokens_per_concept`, where it
// is not given of as many as are expected.
ModelCost cost_of(const LanguageModel& model, int64_t context, nn::Recompute recompute,
                  DType dtype = DType::f32, std::optional<double> tokens_per_concept = {});

// Rows per token that the matrix with this path multiplies: 1, or 1/R where there is one a concept.
double rows_per_token(const std::string& path, double tokens_per_concept);

// FLOPs of training on one token: forward, and twice that for backward; recomputation adds a forward pass of
// the blocks.
double training_flops_per_token(const ModelCost& cost, nn::Recompute recompute);

}  // namespace dlcm
