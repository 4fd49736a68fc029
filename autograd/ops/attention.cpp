#include "tensor/ops/attention.h"

#include "autograd/ops.h"
#include "autograd/tape.h"

namespace dlcm::autograd {
namespace {

Variable recorded(const Variable& q, const Variable& k, const Variable& v, const ops::AttentionLayout& layout,
                  const ops::Attention& result) {
  const auto& [o, lse] = result;
  return record("attention", {q, k, v}, o,
                {q.value(), k.value(), v.value(), o, lse, layout.key_begin, layout.key_end, layout.key_bias,
                 layout.last_bias},
                [](const BackwardContext& context) {
                  const auto saved = [&context](size_t index) { return context.saved(index); };
                  auto [dq, dk, dv] = ops::attention_backward(
                      context.gradient(), saved(0), saved(1), saved(2), ops::Attention{saved(3), saved(4)},
                      ops::AttentionLayout{saved(5), saved(6), saved(7), saved(8)});
                  return std::vector<Tensor>{dq, dk, dv};
                });
}

// The dense implementation has no products of bf16: the same operands in float32.
Tensor widened(const Variable& x) {
  return x.value().dtype() == DType::bf16 ? x.value().to(DType::f32) : x.value();
}

}  // namespace

Variable attention(const Variable& q, const Variable& k, const Variable& v,
                   const ops::AttentionLayout& layout) {
  return recorded(q, k, v, layout, ops::attention(q.value(), k.value(), v.value(), layout));
}

Variable attention(const Variable& q, const Variable& k, const Variable& v,
                   const ops::AttentionLayout& layout, DType output) {
  return recorded(q, k, v, layout, ops::attention(q.value(), k.value(), v.value(), layout, output));
}

Variable dense_attention(const Variable& q, const Variable& k, const Variable& v,
                         const ops::AttentionLayout& layout) {
  const std::vector<Tensor> wide = {widened(q), widened(k), widened(v)};
  const auto [o, probability] = ops::dense_attention(wide[0], wide[1], wide[2], layout);
  return record("dense_attention", {q, k, v}, o, {wide[0], wide[1], wide[2], probability},
                [](const BackwardContext& context) {
                  auto [dq, dk, dv] =
                      ops::dense_attention_backward(context.gradient(), context.saved(0), context.saved(1),
                                                    context.saved(2), context.saved(3));
                  return std::vector<Tensor>{dq, dk, dv};
                });
}

}  // namespace dlcm::autograd
