#include "dlcm/config.h"

#include <cmath>

#include "tensor/check.h"

namespace dlcm {
namespace {

// Above any model of the next years; products of three such sizes still fit 63 bits.
constexpr int64_t kLargestSize = 1 << 20;

void check_size(const std::string& key, int64_t value, int64_t least) {
  DLCM_CHECK_INPUT(value >= least && value <= kLargestSize, key, " = ", value,
                   ": expected a whole number from ", least, " to ", kLargestSize);
}

void check_stack(const std::string& table, const StackConfig& stack) {
  check_size(table + ".width", stack.width, 1);
  check_size(table + ".heads", stack.heads, 1);
  check_size(table + ".kv_heads", stack.kv_heads, 1);
  check_size(table + ".ff", stack.ff, 1);
  DLCM_CHECK_INPUT(stack.width % stack.heads == 0, table, ".heads = ", stack.heads, " does not divide ",
                   table, ".width = ", stack.width);
  DLCM_CHECK_INPUT(stack.heads % stack.kv_heads == 0, table, ".kv_heads = ", stack.kv_heads,
                   " does not divide ", table, ".heads = ", stack.heads);
  DLCM_CHECK_INPUT(stack.head_dim() % 2 == 0, table, ".width / ", table, ".heads = ", stack.head_dim(),
                   ": rotary embeddings need an even head dimension");
}

void check_range(const std::string& key, double value, double least, double most) {
  DLCM_CHECK_INPUT(std::isfinite(value) && value >= least && value <= most, key, " = ", value,
                   ": expected a number from ", least, " to ", most);
}

void check_boundary(const BoundaryConfig& boundary) {
  check_range("model.boundary.tokens_per_concept", boundary.tokens_per_concept, 1.01, 4096);
  check_range("model.boundary.tau", boundary.tau, 0, 1);
  check_range("model.boundary.alpha", boundary.alpha, 1e-4, 100);
  check_range("model.boundary.alpha_end", boundary.alpha_end, 1e-4, 100);
  check_range("model.boundary.weight", boundary.weight, 0, 1e4);
}

}  // namespace

double ModelConfig::token_multiplier() const {
  return mup.enabled ? static_cast<double>(token.width) / static_cast<double>(mup.token_base) : 1.0;
}

double ModelConfig::concept_multiplier() const {
  return mup.enabled ? static_cast<double>(backbone.width) / static_cast<double>(mup.concept_base) : 1.0;
}

void check(const ModelConfig& config) {
  check_size("model.vocab_size", config.vocab_size, 2);
  check_stack("model.token", config.token);
  check_size("mup.token_base", config.mup.token_base, 1);
  if (config.kind == ModelKind::transformer) {
    check_size("model.token.layers", config.layers, 1);
    return;
  }
  check_size("model.token.encoder_layers", config.encoder_layers, 1);
  check_size("model.token.decoder_layers", config.decoder_layers, 0);
  check_stack("model.concept", config.backbone);
  check_size("model.concept.layers", config.backbone_layers, 1);
  check_size("model.cross_attention.ff", config.cross_attention.ff, 0);
  check_size("mup.concept_base", config.mup.concept_base, 1);
  check_boundary(config.boundary);
}

}  // namespace dlcm
