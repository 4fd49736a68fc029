// The feed-forward part of a block, SwiGLU (Shazeer, arXiv 2002.05202): y = W_down (silu(W_gate x) * W_up x).
#pragma once

#include "nn/self_attention.h"

namespace dlcm::nn {

class Mlp : public Module {
 public:
  Mlp(Module& parent, const std::string& name, const BlockConfig& config);
  Variable forward(const Variable& x) const;  // [rows, width] to [rows, width]
  // What x had better be of.
  DType input_dtype() const { return gate_proj_.operand_dtype(); }

 private:
  Parameter gate_proj_, up_proj_, down_proj_;
};

}  // namespace dlcm::nn
