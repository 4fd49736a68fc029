// The CPU kernels behind tensor/ops/attention.h. Internal to tensor/ops/attention*.cpp.
#pragma once

#include "tensor/ops/attention_plan.h"

namespace dlcm::cpu {

struct AttentionInputs {
  AttentionSizes sizes;
  const Tensor& q;
  const Tensor& k;
  const Tensor& v;
  const ops::AttentionLayout& layout;
};

void attention_forward(const AttentionInputs& inputs, const ops::Attention& result);
void attention_backward(const AttentionInputs& inputs, const Tensor& d_o, const ops::Attention& forward,
                        const ops::AttentionGradients& result);

}  // namespace dlcm::cpu
