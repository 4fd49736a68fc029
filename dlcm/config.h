// What a model is: the [model] and [mup] tables of a configuration (see README, "Configuration").
#pragma once

#include <cstdint>
#include <string>

namespace dlcm {

// Above any model of the next years, so that a slip or a damaged file is an error at once: of widths, heads
// and the vocabulary; of layers in a stack; of a model's parameters, as many floats as a 64-bit machine's
// addresses (47 bits) reach.
inline constexpr int64_t kLargestSize = int64_t{1} << 20;
inline constexpr int64_t kMostLayers = 4096;
inline constexpr double kMostParameters = 0x1p45;
inline constexpr double kLargestRopeBase = 1e12;

enum class ModelKind { dlcm, transformer };
enum class Predictor { decoupled, learned, cosine, fixed, none };
enum class Scope { sequence, batch, global };
enum class Visibility { completed, containing };
enum class Weighting { uniform, length };
enum class CrossRope { none, concept_index };
enum class CrossImplementation { dense, replicated, segment };
enum class Smoothing { blend, ema, none };

// A stack of transformer blocks of one width.
struct StackConfig {
  int64_t width = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t ff = 0;
  int64_t own_head_dim = 0;  // 0: width / heads
  int64_t head_dim() const { return own_head_dim > 0 ? own_head_dim : width / heads; }
  int64_t heads_width() const { return heads * head_dim(); }  // of all query heads together
};

struct BoundaryConfig {
  Predictor predictor = Predictor::decoupled;
  double tokens_per_concept = 4.0;  // R
  Scope scope = Scope::global;
  double tau = 0.5;         // threshold of `cosine`
  double alpha = 0.5;       // sharpening temperature, first
  double alpha_end = 0.02;  // and last; geometric in between
  double weight = 0.03;     // lambda of Eq. 15
};

struct CrossAttentionConfig {
  Visibility visibility = Visibility::completed;
  Weighting weighting = Weighting::uniform;
  CrossRope rope = CrossRope::none;
  int64_t ff = 0;
  CrossImplementation implementation = CrossImplementation::segment;
};

struct MupConfig {
  bool enabled = true;
  int64_t token_base = 128;
  int64_t concept_base = 256;
};

struct ModelConfig {
  ModelKind kind = ModelKind::dlcm;
  int64_t vocab_size = 257;  // of the shards' tokenizer; the key counts only without data (train --dry-run)
  StackConfig token = {256, 4, 2, 1024};
  int64_t encoder_layers = 3;
  int64_t decoder_layers = 2;
  int64_t layers = 0;                        // of a transformer
  StackConfig backbone = {512, 8, 4, 1024};  // [model.concept]
  int64_t backbone_layers = 5;
  BoundaryConfig boundary;
  CrossAttentionConfig cross_attention;
  Smoothing smoothing = Smoothing::blend;
  double rope_base = 10000;      // of every rotary embedding
  double norm_epsilon = 1e-6;    // of every RMSNorm
  bool tied_embeddings = false;  // the unembedding is the embedding
  MupConfig mup;

  // s of Eq. 18, 1 where muP is off.
  double token_multiplier() const;
  double concept_multiplier() const;
};

// Parameters in the matrices of the blocks, the embedding and the unembedding: nearly all there are. Computed
// from the sizes, without describing the model.
double matrix_parameters(const ModelConfig& config);

// Throws InputError naming the key, its value and what is allowed: sizes that are not positive, heads that do
// not divide widths, odd head dimensions, R not above 1, sizes and layers above the limits, more than
// kMostParameters altogether.
void check(const ModelConfig& config);

}  // namespace dlcm
