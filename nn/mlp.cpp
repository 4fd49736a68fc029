#include "nn/mlp.h"

#include <cmath>

#include "autograd/ops.h"
#include "nn/linear.h"
#include "tensor/ops/swiglu.h"

namespace dlcm::nn {

Mlp::Mlp(Module& parent, const std::string& name, const BlockConfig& config)
    : Module(parent, name),
      gate_proj_(*this, "gate_proj", {config.ff, config.width}, matrix_role(config.fan_in)),
      up_proj_(*this, "up_proj", {config.ff, config.width}, matrix_role(config.fan_in)),
      down_proj_(*this, "down_proj", {config.width, config.ff},
                 matrix_role(config.fan_in, 1.0 / std::sqrt(2.0 * static_cast<double>(config.layers)))) {}

Variable Mlp::forward(const Variable& x) const {
  if (!down_proj_.packed().defined()) {
    return autograd::swiglu_mlp(x, gate_proj_.operand(), up_proj_.operand(), down_proj_.operand());
  }
  const std::vector<Variable> inner = linear_many(x, {&gate_proj_, &up_proj_});
  return linear(Variable(ops::swiglu(inner[0].value(), inner[1].value(), input_dtype())), down_proj_);
}

}  // namespace dlcm::nn
