// Causal self-attention with grouped key-value heads, QK-norm and rotary positions (section 2 of the model's
// description; Eq. 16):
//
//   Q = rope(RMSNorm(W_q x)), K = rope(RMSNorm(W_k x)), V = W_v x per head, y = W_o attention(Q, K, V)
//
// The heads together may be wider or narrower than x (BlockConfig::own_head_dim).
#pragma once

#include <span>

#include "nn/key_value_cache.h"
#include "nn/residual_stream.h"
#include "nn/sequence_layout.h"

namespace dlcm::nn {

// Sizes of a stack of blocks and the muP width its matrices belong to.
struct BlockConfig {
  int64_t width = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t ff = 0;
  Width fan_in = Width::token;
  int64_t layers = 1;  // of the stack: scales the initial values of what is added to the residual stream
  int64_t own_head_dim = 0;  // 0: width / heads
  double rotary_base = kRotaryBase;
  double norm_epsilon = kNormEpsilon;
  int64_t head_dim() const { return own_head_dim > 0 ? own_head_dim : width / heads; }
  int64_t heads_width() const { return heads * head_dim(); }  // of all query heads together
};

class SelfAttention : public Module {
 public:
  SelfAttention(Module& parent, const std::string& name, const BlockConfig& config);

  // x [T, width] in a packed batch. Where `cache` is given (a batch of one document), it receives keys and
  // values.
  // What x had better be of.
  DType input_dtype() const { return q_proj_.operand_dtype(); }
  Variable forward(const Variable& x, const SequenceLayout& layout, KeyValueCache* cache = nullptr) const;
  // One token for each of B sequences: x [B, width]; row b extends caches[b]. `rotary` is the table of the
  // rows' positions.
  Variable step(const Variable& x, const Tensor& rotary, std::span<KeyValueCache* const> caches) const;

 private:
  struct Projected {
    Variable q, k, v;  // [rows, heads or kv_heads, head_dim]
  };
  Projected project(const Variable& x, const Tensor& rotary) const;
  Variable output(const Variable& heads) const;

  BlockConfig config_;
  Parameter q_proj_, k_proj_, v_proj_, o_proj_, q_norm_, k_norm_;
};

}  // namespace dlcm::nn
