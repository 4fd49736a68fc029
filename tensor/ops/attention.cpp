#include "tensor/ops/attention.h"

#include "tensor/dispatch.h"
#include "tensor/ops/attention_kernels.h"
#include "tensor/profile.h"

namespace dlcm::ops {
namespace {

// Of everything but the operands.
DType dtype_of_sums(const Tensor& q) {
  return q.dtype() == DType::bf16 ? DType::f32 : q.dtype();
}

}  // namespace

Attention attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionLayout& layout) {
  return attention(q, k, v, layout, dtype_of_sums(q));
}

Attention attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionLayout& layout,
                    DType output) {
  const cpu::AttentionSizes sizes = check_attention("attention", q, k, v);
  const DType sums = dtype_of_sums(q);
  check_layout("attention", sizes, sums, layout);
  DLCM_CHECK(output == sums || output == q.dtype(), "attention: o in ", output, " of q in ", q.dtype());
  const ProfileScope profile("attention",
                             4.0 * static_cast<double>(sizes.head_dim) * visible_pairs(sizes, layout));
  const Attention result = {Tensor::empty(q.shape(), output, q.device()),
                            Tensor::empty({sizes.tokens, sizes.heads}, sums, q.device())};
  DLCM_DISPATCH_CPU(q.device(), attention_forward({sizes, q, k, v, layout}, result));
  return result;
}

AttentionGradients attention_backward(const Tensor& d_o, const Tensor& q, const Tensor& k, const Tensor& v,
                                      const Attention& forward, const AttentionLayout& layout) {
  const cpu::AttentionSizes sizes = check_attention("attention_backward", q, k, v);
  const DType sums = dtype_of_sums(q);
  check_layout("attention_backward", sizes, sums, layout);
  DLCM_CHECK(d_o.shape() == q.shape() && forward.o.shape() == q.shape() &&
                 forward.lse.shape() == (Shape{sizes.tokens, sizes.heads}),
             "attention_backward: d_o has shape ", d_o.shape(), ", o ", forward.o.shape(), ", lse ",
             forward.lse.shape(), ", q ", q.shape());
  const ProfileScope profile("attention_backward",
                             10.0 * static_cast<double>(sizes.head_dim) * visible_pairs(sizes, layout));
  const AttentionGradients result = {Tensor::empty(q.shape(), sums, q.device()),
                                     Tensor::empty(k.shape(), sums, k.device()),
                                     Tensor::empty(v.shape(), sums, v.device())};
  DLCM_DISPATCH_CPU(q.device(), attention_backward({sizes, q, k, v, layout}, d_o.to(sums),
                                                   {forward.o.to(sums), forward.lse}, result));
  return result;
}

}  // namespace dlcm::ops
