#include "dlcm/config.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "tensor/check.h"

namespace dlcm {
namespace {

void check_size(const std::string& key, int64_t value, int64_t least, int64_t most = kLargestSize) {
  DLCM_CHECK_INPUT(value >= least && value <= most, key, " = ", value, ": expected a whole number from ",
                   least, " to ", most);
}

void check_layers(const std::string& key, int64_t value, int64_t least) {
  check_size(key, value, least, kMostLayers);
}

double stack_parameters(const StackConfig& stack, int64_t layers) {
  const auto width = static_cast<double>(stack.width);
  const auto keys = static_cast<double>(stack.kv_heads * stack.head_dim());
  const auto queries = static_cast<double>(stack.heads_width());
  return static_cast<double>(layers) * width * (2 * queries + 2 * keys + 3 * static_cast<double>(stack.ff));
}

// Where a model's parameters are, by the key that brings them.
struct Share {
  const char* key;
  int64_t value;
  double parameters;
};

std::vector<Share> shares_of(const ModelConfig& config) {
  const double tables = config.tied_embeddings ? 1.0 : 2.0;
  std::vector<Share> shares = {{"model.vocab_size", config.vocab_size,
                                tables * static_cast<double>(config.vocab_size * config.token.width)}};
  if (config.kind == ModelKind::transformer) {
    shares.push_back(
        {"model.token.width", config.token.width, stack_parameters(config.token, config.layers)});
    return shares;
  }
  const int64_t token_layers = config.encoder_layers + config.decoder_layers;
  shares.push_back({"model.token.width", config.token.width, stack_parameters(config.token, token_layers)});
  shares.push_back({"model.concept.width", config.backbone.width,
                    stack_parameters(config.backbone, config.backbone_layers)});
  return shares;
}

// Of sizes that are right each for itself.
void check_parameters(const ModelConfig& config) {
  const double parameters = matrix_parameters(config);
  const std::vector<Share> shares = shares_of(config);
  const auto largest = std::max_element(shares.begin(), shares.end(), [](const Share& a, const Share& b) {
    return a.parameters < b.parameters;
  });
  DLCM_CHECK_INPUT(parameters <= kMostParameters, largest->key, " = ", largest->value,
                   ": the whole model would have ", parameters, " parameters, expected at most ",
                   kMostParameters, ", which a program can address");
}

void check_stack(const std::string& table, const StackConfig& stack) {
  check_size(table + ".width", stack.width, 1);
  check_size(table + ".heads", stack.heads, 1);
  check_size(table + ".kv_heads", stack.kv_heads, 1);
  check_size(table + ".ff", stack.ff, 1);
  check_size(table + ".head_dim", stack.own_head_dim, 0, kLargestSize / stack.heads);
  DLCM_CHECK_INPUT(stack.own_head_dim > 0 || stack.width % stack.heads == 0, table, ".heads = ", stack.heads,
                   " does not divide ", table, ".width = ", stack.width);
  DLCM_CHECK_INPUT(stack.heads % stack.kv_heads == 0, table, ".kv_heads = ", stack.kv_heads,
                   " does not divide ", table, ".heads = ", stack.heads);
  const std::string head_dim =
      stack.own_head_dim > 0 ? table + ".head_dim" : concat(table, ".width / ", table, ".heads");
  DLCM_CHECK_INPUT(stack.head_dim() % 2 == 0, head_dim, " = ", stack.head_dim(),
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

double matrix_parameters(const ModelConfig& config) {
  double parameters = 0;
  for (const Share& share : shares_of(config)) parameters += share.parameters;
  return parameters;
}

void check(const ModelConfig& config) {
  check_size("model.vocab_size", config.vocab_size, 2);
  check_stack("model.token", config.token);
  check_size("mup.token_base", config.mup.token_base, 1);
  check_range("model.rope_base", config.rope_base, 1, kLargestRopeBase);
  check_range("model.norm_epsilon", config.norm_epsilon, 0, 1);
  if (config.kind == ModelKind::transformer) {
    check_layers("model.token.layers", config.layers, 1);
    check_parameters(config);
    return;
  }
  check_layers("model.token.encoder_layers", config.encoder_layers, 1);
  check_layers("model.token.decoder_layers", config.decoder_layers, 0);
  check_stack("model.concept", config.backbone);
  check_layers("model.concept.layers", config.backbone_layers, 1);
  check_size("model.cross_attention.ff", config.cross_attention.ff, 0);
  check_size("mup.concept_base", config.mup.concept_base, 1);
  check_boundary(config.boundary);
  check_parameters(config);
}

}  // namespace dlcm
