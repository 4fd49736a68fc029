// A pre-norm transformer block: x += attention(RMSNorm(x)); x += mlp(RMSNorm(x)). Encoder, backbone, decoder
// and the baseline are stacks of it.
#pragma once

#include "nn/mlp.h"
#include "nn/self_attention.h"

namespace dlcm::nn {

class TransformerBlock : public Module {
 public:
  TransformerBlock(Module& parent, const std::string& name, const BlockConfig& config);

  // As SelfAttention's: x [T, width] of a packed batch, or [B, width], one token per sequence.
  void forward(ResidualStream& x, const SequenceLayout& layout, KeyValueCache* cache = nullptr) const;
  void step(ResidualStream& x, const Tensor& rotary, std::span<KeyValueCache* const> caches) const;

 private:
  double norm_epsilon_;
  Parameter attention_norm_;
  SelfAttention attention_;
  Parameter mlp_norm_;
  Mlp mlp_;
};

}  // namespace dlcm::nn
