#include "dlcm/cost.h"

#include <algorithm>

namespace dlcm {
namespace {

constexpr double kFloatBytes = 4;

std::string part_name(const std::string& path) {
  return path.substr(0, path.find('/'));
}

PartCost& part(ModelCost& cost, const std::string& name) {
  const auto found =
      std::find_if(cost.parts.begin(), cost.parts.end(), [&](const PartCost& p) { return p.name == name; });
  if (found != cost.parts.end()) return *found;
  cost.parts.push_back({});
  cost.parts.back().name = name;
  return cost.parts.back();
}

// Keys that a query sees on average in a causal document of `length` rows, its own included.
double average_keys(double length) {
  return (length + 1) / 2;
}

void add_parameters(ModelCost& cost, const LanguageModel& model) {
  for (const nn::Parameter* parameter : model.parameters()) {
    PartCost& entry = part(cost, part_name(parameter->path()));
    entry.parameters += parameter->shape().numel();
    const double flops = 2.0 * static_cast<double>(parameter->shape().numel()) *
                         rows_per_token(model.config(), parameter->path());
    switch (parameter->role().kind) {
      case nn::RoleKind::matrix:
      case nn::RoleKind::boundary:
        entry.flops.matrices += flops;
        break;
      case nn::RoleKind::unembedding:
        entry.flops.logits += flops;
        break;
      case nn::RoleKind::embedding:
      case nn::RoleKind::vector:
        break;
    }
  }
}

// Values of one row that a block keeps for backward: x, q before its norm, attention's output, the sum (4
// widths); k before its norm, v; gate, up. Norms and the product of gate and up are made again.
double block_activations(const StackConfig& stack) {
  return kFloatBytes *
         static_cast<double>(4 * stack.width + 2 * stack.kv_heads * stack.head_dim() + 2 * stack.ff);
}

void add_stack(ModelCost& cost, const std::string& name, const StackConfig& stack, int64_t layers,
               double rows, double length, nn::Recompute recompute) {
  PartCost& entry = part(cost, name);
  const auto depth = static_cast<double>(layers);
  const auto width = static_cast<double>(stack.width);
  entry.flops.self_attention += depth * rows * 4.0 * width * average_keys(length);
  const double full = block_activations(stack);
  // With recomputation each block keeps its input, and one block at a time everything.
  const double kept = recompute == nn::Recompute::block ? depth * kFloatBytes * width + full : depth * full;
  entry.activation_bytes_per_token += rows * kept;
}

void add_cross_attention(ModelCost& cost, const ModelConfig& config, double context) {
  PartCost& entry = part(cost, "cross_attention");
  const auto width = static_cast<double>(config.token.width);
  const double r = config.boundary.tokens_per_concept;
  // `segment` and `dense` score concepts; `replicated` scores as many copies as there are tokens.
  const double keys =
      config.cross_attention.implementation == CrossImplementation::replicated ? context : context / r;
  entry.flops.cross_attention += 4.0 * width * keys / 2;
  const auto kv = static_cast<double>(config.token.kv_heads * config.token.head_dim());
  const double per_key =
      config.cross_attention.implementation == CrossImplementation::replicated ? 1.0 + 1.0 / r : 1.0 / r;
  entry.activation_bytes_per_token +=
      kFloatBytes * (3 * width + 2 * kv * per_key + 2.0 * static_cast<double>(config.cross_attention.ff));
}

}  // namespace

double rows_per_token(const ModelConfig& config, const std::string& path) {
  const bool per_concept = path.starts_with("backbone/") || path.starts_with("concept_proj") ||
                           path.starts_with("smoothing/") || path.starts_with("cross_attention/k_proj") ||
                           path.starts_with("cross_attention/v_proj");
  return per_concept ? 1.0 / config.boundary.tokens_per_concept : 1.0;
}

ModelCost cost_of(const LanguageModel& model, int64_t context, nn::Recompute recompute) {
  const ModelConfig& config = model.config();
  const auto length = static_cast<double>(context);
  ModelCost cost;
  add_parameters(cost, model);
  if (config.kind == ModelKind::transformer) {
    add_stack(cost, "decoder", config.token, config.layers, 1.0, length, recompute);
  } else {
    const double r = config.boundary.tokens_per_concept;
    add_stack(cost, "encoder", config.token, config.encoder_layers, 1.0, length, recompute);
    add_stack(cost, "backbone", config.backbone, config.backbone_layers, 1.0 / r, length / r, recompute);
    add_stack(cost, "decoder", config.token, config.decoder_layers, 1.0, length, recompute);
    add_cross_attention(cost, config, length);
  }
  // The gradient of the last hidden state, made with the loss.
  part(cost, "unembedding").activation_bytes_per_token +=
      2 * kFloatBytes * static_cast<double>(config.token.width);
  for (const PartCost& entry : cost.parts) {
    cost.parameters += entry.parameters;
    cost.forward.matrices += entry.flops.matrices;
    cost.forward.self_attention += entry.flops.self_attention;
    cost.forward.cross_attention += entry.flops.cross_attention;
    cost.forward.logits += entry.flops.logits;
    cost.activation_bytes_per_token += entry.activation_bytes_per_token;
  }
  return cost;
}

double training_flops_per_token(const ModelCost& cost, nn::Recompute recompute) {
  const double blocks = cost.forward.matrices + cost.forward.self_attention;
  return 3.0 * cost.forward.total() + (recompute == nn::Recompute::block ? blocks : 0.0);
}

}  // namespace dlcm
