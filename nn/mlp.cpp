#include "nn/mlp.h"

#include <cmath>

#include "autograd/ops.h"

namespace dlcm::nn {

Mlp::Mlp(Module& parent, const std::string& name, const BlockConfig& config)
    : Module(parent, name),
      gate_proj_(*this, "gate_proj", {config.ff, config.width}, matrix_role(config.fan_in)),
      up_proj_(*this, "up_proj", {config.ff, config.width}, matrix_role(config.fan_in)),
      down_proj_(*this, "down_proj", {config.width, config.ff},
                 matrix_role(config.fan_in, 1.0 / std::sqrt(2.0 * static_cast<double>(config.layers)))) {}

Variable Mlp::forward(const Variable& x) const {
  const Variable gate = autograd::linear(x, gate_proj_.variable());
  const Variable up = autograd::linear(x, up_proj_.variable());
  return autograd::swiglu_linear(gate, up, down_proj_.variable());
}

}  // namespace dlcm::nn
