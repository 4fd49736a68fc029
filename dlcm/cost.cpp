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

void add_parameters(ModelCost& cost, const LanguageModel& model, double r, DType dtype) {
  for (const nn::Parameter* parameter : model.parameters()) {
    PartCost& entry = part(cost, part_name(parameter->path()));
    entry.parameters += parameter->shape().numel();
    if (dtype == DType::bf16 && nn::is_rounded(parameter->role())) {
      entry.operands += parameter->shape().numel();
    }
    const double flops =
        2.0 * static_cast<double>(parameter->shape().numel()) * rows_per_token(parameter->path(), r);
    switch (parameter->role().kind) {
      case nn::RoleKind::matrix:
      case nn::RoleKind::boundary:
        entry.flops.matrices += flops;
        break;
      case nn::RoleKind::unembedding:
      case nn::RoleKind::tied:
        entry.flops.logits += flops;
        break;
      case nn::RoleKind::embedding:
      case nn::RoleKind::vector:
        break;
    }
  }
}

// Bytes of a value that only products read.
double operand_bytes(DType dtype) {
  return dtype == DType::bf16 ? 2 : kFloatBytes;
}

// Bytes of one row that a block keeps for backward. In float32: x, the sum after attention, q and k before
// their norms; gate and up; attention's logarithms of sums and the norms' factors. Operands:
// attention's output and v. Norms and the product of gate and up are made again.
double block_activations(const StackConfig& stack, DType dtype) {
  const auto width = static_cast<double>(stack.width);
  const auto keys = static_cast<double>(stack.kv_heads * stack.head_dim());
  const auto queries = static_cast<double>(stack.heads_width());
  const double kept =
      2 * width + queries + keys + 2.0 * static_cast<double>(stack.ff) + static_cast<double>(stack.heads) + 2;
  return kFloatBytes * kept + operand_bytes(dtype) * (queries + keys);
}

struct Computation {
  nn::Recompute recompute;
  DType dtype;
};

// Bytes of one row that the last block works with where a step holds the most: the product of gate and up,
// its gradient unless that is written over the same memory, the block's output and the input of its norm;
// and what it did not keep.
double working_activations(const StackConfig& stack, const Computation& how) {
  const double width = kFloatBytes * static_cast<double>(stack.width);
  const auto ff = static_cast<double>(stack.ff);
  const double rounded = how.dtype == DType::bf16 ? operand_bytes(how.dtype) * ff : 0;
  const bool again = how.recompute == nn::Recompute::block;
  return kFloatBytes * ff + rounded + 2 * width + (again ? block_activations(stack, how.dtype) - width : 0);
}

void add_stack(ModelCost& cost, const std::string& name, const StackConfig& stack, int64_t layers,
               double rows, double length, const Computation& how) {
  PartCost& entry = part(cost, name);
  const auto depth = static_cast<double>(layers);
  const auto width = static_cast<double>(stack.width);
  entry.flops.self_attention +=
      depth * rows * 4.0 * static_cast<double>(stack.heads_width()) * average_keys(length);
  const double kept = how.recompute == nn::Recompute::block ? kFloatBytes * width  // its input
                                                            : block_activations(stack, how.dtype);
  entry.activation_bytes_per_token += depth * rows * kept;
}

void add_cross_attention(ModelCost& cost, const ModelConfig& config, double context, double r, DType dtype) {
  PartCost& entry = part(cost, "cross_attention");
  const auto width = static_cast<double>(config.token.width);
  const auto queries = static_cast<double>(config.token.heads_width());
  // `segment` and `dense` score concepts; `replicated` scores as many copies as there are tokens.
  const bool replicated = config.cross_attention.implementation == CrossImplementation::replicated;
  entry.flops.cross_attention += 4.0 * queries * (replicated ? context : context / r) / 2;
  const auto keys = static_cast<double>(config.token.kv_heads * config.token.head_dim());
  const auto ff = static_cast<double>(config.cross_attention.ff);
  // What it reads, q before its norm and attention's output; in bf16 the output takes half, and q rounded the
  // other half. k before its norm; v, in bf16 v and k at half the size; or copies of both.
  const double copies = replicated ? 2 * operand_bytes(dtype) * keys : kFloatBytes * keys / r;
  entry.activation_bytes_per_token +=
      kFloatBytes * (width + 2 * queries + static_cast<double>(config.token.heads) + keys / r) + copies;
  if (ff > 0) entry.activation_bytes_per_token += kFloatBytes * (width + 2 * ff);
}

// Pooled tokens and smoothed concepts as operands, the concepts before their norm, and what p is made of.
void add_concepts(ModelCost& cost, const ModelConfig& config, double r, DType dtype) {
  const auto width = static_cast<double>(config.token.width),
             wide = static_cast<double>(config.backbone.width);
  part(cost, "concept_proj").activation_bytes_per_token += operand_bytes(dtype) * width / r;
  part(cost, "backbone").activation_bytes_per_token += 2 * kFloatBytes * wide / r;
  const bool compared =
      config.boundary.predictor == Predictor::decoupled || config.boundary.predictor == Predictor::learned;
  if (compared) part(cost, "boundary").activation_bytes_per_token += 2 * kFloatBytes * width;
}

}  // namespace

double expected_tokens_per_concept(const BoundaryConfig& config) {
  return config.predictor == Predictor::none ? 1.0 : config.tokens_per_concept;
}

double rows_per_token(const std::string& path, double tokens_per_concept) {
  const bool per_concept = path.starts_with("backbone/") || path.starts_with("concept_proj") ||
                           path.starts_with("smoothing/") || path.starts_with("cross_attention/k_proj") ||
                           path.starts_with("cross_attention/v_proj");
  return per_concept ? 1.0 / tokens_per_concept : 1.0;
}

ModelCost cost_of(const LanguageModel& model, int64_t context, nn::Recompute recompute, DType dtype,
                  std::optional<double> tokens_per_concept) {
  const ModelConfig& config = model.config();
  const double r = tokens_per_concept.value_or(expected_tokens_per_concept(config.boundary));
  const auto length = static_cast<double>(context);
  ModelCost cost;
  const Computation how = {recompute, dtype};
  add_parameters(cost, model, r, dtype);
  if (config.kind == ModelKind::transformer) {
    add_stack(cost, "decoder", config.token, config.layers, 1.0, length, how);
  } else {
    add_stack(cost, "encoder", config.token, config.encoder_layers, 1.0, length, how);
    add_stack(cost, "backbone", config.backbone, config.backbone_layers, 1.0 / r, length / r, how);
    add_stack(cost, "decoder", config.token, config.decoder_layers, 1.0, length, how);
    add_concepts(cost, config, r, dtype);
    add_cross_attention(cost, config, length, r, dtype);
  }
  part(cost, "decoder").activation_bytes_per_token += working_activations(config.token, how);
  // The last hidden state before its norm and its gradient, which is made with the loss.
  part(cost, config.tied_embeddings ? "embedding" : "unembedding").activation_bytes_per_token +=
      2 * kFloatBytes * static_cast<double>(config.token.width);
  for (const PartCost& entry : cost.parts) {
    cost.parameters += entry.parameters;
    cost.operands += entry.operands;
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
