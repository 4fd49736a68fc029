#include "tensor/ops/attention.h"

#include "tensor/dispatch.h"
#include "tensor/ops/attention_kernels.h"
#include "tensor/profile.h"

namespace dlcm::ops {

Attention attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionLayout& layout) {
  const cpu::AttentionSizes sizes = check_attention("attention", q, k, v);
  check_layout("attention", sizes, q.dtype(), layout);
  const ProfileScope profile("attention",
                             4.0 * static_cast<double>(sizes.head_dim) * visible_pairs(sizes, layout));
  const Attention result = {q.empty_like(),
                            Tensor::empty({sizes.tokens, sizes.heads}, q.dtype(), q.device())};
  DLCM_DISPATCH_CPU(q.device(), attention_forward({sizes, q, k, v, layout}, result));
  return result;
}

AttentionGradients attention_backward(const Tensor& d_o, const Tensor& q, const Tensor& k, const Tensor& v,
                                      const Attention& forward, const AttentionLayout& layout) {
  const cpu::AttentionSizes sizes = check_attention("attention_backward", q, k, v);
  check_layout("attention_backward", sizes, q.dtype(), layout);
  DLCM_CHECK(d_o.shape() == q.shape() && forward.o.shape() == q.shape() &&
                 forward.lse.shape() == (Shape{sizes.tokens, sizes.heads}),
             "attention_backward: d_o has shape ", d_o.shape(), ", o ", forward.o.shape(), ", lse ",
             forward.lse.shape(), ", q ", q.shape());
  const ProfileScope profile("attention_backward",
                             10.0 * static_cast<double>(sizes.head_dim) * visible_pairs(sizes, layout));
  const AttentionGradients result = {q.empty_like(), k.empty_like(), v.empty_like()};
  DLCM_DISPATCH_CPU(q.device(), attention_backward({sizes, q, k, v, layout}, d_o, forward, result));
  return result;
}

}  // namespace dlcm::ops
