#include "apps/hugging_face/names.h"

#include <array>
#include <string_view>
#include <utility>

#include "tensor/check.h"

namespace dlcm::apps {
namespace {

using Names = std::pair<std::string_view, std::string_view>;  // ours, theirs

constexpr std::array<Names, 3> kAlone = {{
    {"embedding", kEmbeddingTensor},
    {"decoder/norm", "model.norm.weight"},
    {"unembedding", kUnembeddingTensor},
}};

// Behind decoder/layers/N/ and model.layers.N.
constexpr std::array<Names, 11> kOfLayer = {{
    {"attention_norm", "input_layernorm.weight"},
    {"attention/q_proj", "self_attn.q_proj.weight"},
    {"attention/k_proj", "self_attn.k_proj.weight"},
    {"attention/v_proj", "self_attn.v_proj.weight"},
    {"attention/o_proj", "self_attn.o_proj.weight"},
    {"attention/q_norm", "self_attn.q_norm.weight"},
    {"attention/k_norm", "self_attn.k_norm.weight"},
    {"mlp_norm", "post_attention_layernorm.weight"},
    {"mlp/gate_proj", "mlp.gate_proj.weight"},
    {"mlp/up_proj", "mlp.up_proj.weight"},
    {"mlp/down_proj", "mlp.down_proj.weight"},
}};

constexpr std::string_view kLayers = "decoder/layers/";

}  // namespace

std::string qwen3_name(const std::string& path) {
  for (const auto& [ours, theirs] : kAlone) {
    if (path == ours) return std::string(theirs);
  }
  const size_t end = path.find('/', kLayers.size());
  if (path.starts_with(kLayers) && end != std::string::npos) {
    const std::string number = path.substr(kLayers.size(), end - kLayers.size());
    for (const auto& [ours, theirs] : kOfLayer) {
      if (path.substr(end + 1) == ours) return concat("model.layers.", number, ".", theirs);
    }
  }
  throw Error(concat("parameter ", path, " has no name in a ", kQwen3Architecture));
}

}  // namespace dlcm::apps
