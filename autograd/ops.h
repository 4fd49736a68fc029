// The differentiable operators. Formulas, shapes and numerics stand in tensor/ops/<name>.h; the wrapper of
// each is autograd/ops/<name>.cpp. Where there is an `output`, it is the dtype of the result: that of the
// input where it is left out (of attention's sums), or bf16.
#pragma once

#include "autograd/variable.h"
#include "tensor/ops/attention.h"
#include "tensor/ops/cross_entropy.h"

namespace dlcm::autograd {

Variable add(const Variable& a, const Variable& b);       // elementwise, b broadcast over leading dimensions
Variable multiply(const Variable& a, const Variable& b);  // likewise
Variable scale(const Variable& x, double factor);
Variable sum(const Variable& x);  // all elements, shape [1]
Variable view(const Variable& x, Shape shape);
Variable linear(const Variable& x, const Variable& weight);
Variable cast(const Variable& x, DType dtype);  // f32 and bf16
Variable rms_norm(const Variable& x, const Variable& gain, double epsilon);
Variable rms_norm(const Variable& x, const Variable& gain, double epsilon, DType output);
Variable rms_norm_rotary(const Variable& x, const Variable& gain, double epsilon, const Tensor& table);
Variable rms_norm_rotary(const Variable& x, const Variable& gain, double epsilon, const Tensor& table,
                         DType output);
// x + delta, and its RMSNorm; `delta` may be undefined.
struct ResidualRmsNorm {
  Variable sum, y;
};
ResidualRmsNorm residual_rms_norm(const Variable& x, const Variable& delta, const Variable& gain,
                                  double epsilon);
ResidualRmsNorm residual_rms_norm(const Variable& x, const Variable& delta, const Variable& gain,
                                  double epsilon, DType output);
Variable softmax(const Variable& x);
// W_down (silu(W_gate x) * W_up x) for rows of x, weights [out, in]. Of what is inside it keeps W_gate x and
// W_up x; their product is made again in backward. Where the weights are bf16 that product is rounded to it,
// and in backward the gradients of both factors, as only matrix products read them.
Variable swiglu_mlp(const Variable& x, const Variable& gate_weight, const Variable& up_weight,
                    const Variable& down_weight);
Variable embedding(const Tensor& ids, const Variable& table);
Variable attention(const Variable& q, const Variable& k, const Variable& v,
                   const ops::AttentionLayout& layout);
Variable attention(const Variable& q, const Variable& k, const Variable& v,
                   const ops::AttentionLayout& layout, DType output);
Variable dense_attention(const Variable& q, const Variable& k, const Variable& v,
                         const ops::AttentionLayout& layout);
Variable gather_rows(const Variable& x, const Tensor& index);
Variable segment_mean(const Variable& x, const Tensor& offsets);
Variable boundary_probability(const Variable& q, const Variable& k, const Tensor& cu_seqlens);
Variable blend(const Variable& z, const Variable& gate, const Tensor& cu_seqlens);
Variable ema(const Variable& z, const Variable& p, const Tensor& cu_seqlens);
Variable straight_through(const Variable& x, const Variable& p, const Tensor& boundary);
Variable weighted_sum(const Variable& x, const Tensor& weights);
// Sum over rows of the cross-entropy, shape [1]; `token_loss`, if not null, receives each row's [T].
Variable linear_cross_entropy(const Variable& x, const Variable& weight, const Tensor& targets,
                              double logit_scale, Tensor* token_loss = nullptr);

}  // namespace dlcm::autograd
