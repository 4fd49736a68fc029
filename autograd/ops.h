// The differentiable operators. Formulas, shapes and numerics stand in tensor/ops/<name>.h; the wrapper of
// each is autograd/ops/<name>.cpp.
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
Variable rms_norm(const Variable& x, const Variable& gain, double epsilon);
Variable softmax(const Variable& x);
Variable swiglu(const Variable& gate, const Variable& up);
Variable embedding(const Tensor& ids, const Variable& table);
Variable rotary(const Variable& x, const Tensor& table);
Variable attention(const Variable& q, const Variable& k, const Variable& v,
                   const ops::AttentionLayout& layout, DType output = DType::f32);
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
