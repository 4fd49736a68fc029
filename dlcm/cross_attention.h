// Cross-attention Psi of tokens to concepts (section 8; Eq. 12-14):
//
//   Q = RMSNorm_q(W_Q RMSNorm(h)), K = RMSNorm_k(W_K z), V = W_V z,   y = h + W_O softmax(Q K^T /
//   sqrt(head_dim) + bias) V
//
// and, if ff > 0, y += mlp(RMSNorm(y)). Heads are those of the token stack. Three implementations compute the
// same: `segment` (tiled, ragged ranges), `dense` (T x M in memory) and `replicated` (Eq. 17: concepts
// expanded to tokens).
#pragma once

#include <memory>

#include "dlcm/config.h"
#include "dlcm/segmentation.h"
#include "nn/key_value_cache.h"
#include "nn/mlp.h"
#include "nn/module.h"

namespace dlcm {

// The concepts of one sequence that are complete.
struct CrossAttentionState {
  nn::KeyValueCache concepts;
  std::vector<float> log_lengths;  // log n of each, for weighting `length`
};

class CrossAttention : public nn::Module {
 public:
  CrossAttention(nn::Module& parent, const std::string& name, const ModelConfig& config);

  // h [T, d], z [M, D]. `p` and `boundary` matter for the predictor `learned` alone: the straight-through
  // path by which the loss reaches p. Where `state` is given (a batch of one document), it receives every
  // concept but the last, which is still open.
  nn::ResidualStream forward(const nn::Variable& h, const nn::Variable& z, const Segmentation& segmentation,
                             const Tensor& cu_seqlens, const nn::Variable& p,
                             CrossAttentionState* state = nullptr) const;

  // Appends one complete concept of `length` tokens to each of B sequences: z [B, D].
  void append(const Tensor& z, std::span<const int64_t> lengths,
              std::span<CrossAttentionState* const> states) const;
  // One token of each of B sequences: h [B, d].
  nn::ResidualStream step(const nn::Variable& h, std::span<const CrossAttentionState* const> states) const;

 private:
  nn::Variable queries(nn::ResidualStream& h, const Tensor& positions) const;
  nn::Variable keys(const nn::Variable& z, const Tensor& positions) const;
  nn::Variable values(const nn::Variable& z) const;
  // Rounded to bf16 where the projections multiply in it.
  nn::Variable operand(const nn::Variable& x) const;
  nn::Variable attend(const nn::Variable& q, const nn::Variable& k, const nn::Variable& v,
                      const Segmentation& segmentation, const Tensor& cu_seqlens) const;
  nn::Variable projected(const nn::Variable& heads) const;
  // Adds W_O of the heads' outputs, then the feed-forward part.
  void finish(nn::ResidualStream& h, const nn::Variable& projected) const;
  // Norm of each head, rotated where the configuration says so.
  nn::Variable normalized(const nn::Variable& x, const nn::Parameter& gain, const Tensor& positions) const;

  ModelConfig config_;
  nn::Parameter norm_, q_proj_, k_proj_, v_proj_, o_proj_, q_norm_, k_norm_;
  std::unique_ptr<nn::Parameter> mlp_norm_;
  std::unique_ptr<nn::Mlp> mlp_;
};

}  // namespace dlcm
