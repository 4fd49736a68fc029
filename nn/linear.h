// y = x W^T with a parameter, in whatever form it is held.
#pragma once

#include <initializer_list>
#include <vector>

#include "nn/module.h"

namespace dlcm::nn {

// x [..., in], weight [out, in]. Products are in the dtype of weight.operand_dtype(): where that is bf16, x
// is rounded to it, and who makes x had better make it bf16 at once.
Variable linear(const Variable& x, const Parameter& weight);

// linear(x, weight) for each of the weights, in order; of packed ones as one loop of the threads.
std::vector<Variable> linear_many(const Variable& x, std::initializer_list<const Parameter*> weights);

}  // namespace dlcm::nn
