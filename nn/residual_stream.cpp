#include "nn/residual_stream.h"

#include "autograd/ops.h"

namespace dlcm::nn {

void ResidualStream::add(const Variable& delta) {
  sum_ = value();
  pending_ = delta;
}

Variable ResidualStream::normalized(const Parameter& gain, double epsilon) {
  return normalized(gain, epsilon, sum_.dtype());
}

Variable ResidualStream::normalized(const Parameter& gain, double epsilon, DType output) {
  const auto [sum, y] = autograd::residual_rms_norm(sum_, pending_, gain.variable(), epsilon, output);
  sum_ = sum;
  pending_ = Variable();
  return y;
}

Variable ResidualStream::value() {
  if (pending_.defined()) sum_ = autograd::add(sum_, pending_);
  pending_ = Variable();
  return sum_;
}

}  // namespace dlcm::nn
