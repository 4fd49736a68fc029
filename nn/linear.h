// y = x W^T with a parameter, in whatever form it is held.
#pragma once

#include "nn/module.h"

namespace dlcm::nn {

// x [..., in], weight [out, in]. Products are in the dtype of weight.operand_dtype(): where that is bf16, x
// is rounded to it, and who makes x had better make it bf16 at once.
Variable linear(const Variable& x, const Parameter& weight);

// linear(silu(gate) * up, weight), without keeping what is multiplied.
Variable swiglu_linear(const Variable& gate, const Variable& up, const Parameter& weight);

}  // namespace dlcm::nn
