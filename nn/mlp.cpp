#include "nn/mlp.h"

#include <cmath>

#include "nn/linear.h"

namespace dlcm::nn {

Mlp::Mlp(Module& parent, const std::string& name, const BlockConfig& config)
    : Module(parent, name),
      gate_proj_(*this, "gate_proj", {config.ff, config.width}, matrix_role(config.fan_in)),
      up_proj_(*this, "up_proj", {config.ff, config.width}, matrix_role(config.fan_in)),
      down_proj_(*this, "down_proj", {config.width, config.ff},
                 matrix_role(config.fan_in, 1.0 / std::sqrt(2.0 * static_cast<double>(config.layers)))) {}

Variable Mlp::forward(const Variable& x) const {
  return swiglu_linear(linear(x, gate_proj_), linear(x, up_proj_), down_proj_);
}

}  // namespace dlcm::nn
