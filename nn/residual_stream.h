// The residual stream: what blocks read through a norm and add to. An addition waits until the stream is
// read, so that it and the norm that reads it are one pass over memory (ops::residual_rms_norm), across the
// edge between two blocks too.
#pragma once

#include "nn/module.h"

namespace dlcm::nn {

inline constexpr double kNormEpsilon = 1e-6;  // where a model does not say another

class ResidualStream {
 public:
  ResidualStream(Variable x) : sum_(std::move(x)) {}  // any value can begin a stream

  void add(const Variable& delta);
  // RMSNorm of the stream, with everything that was added; in bf16 where matrix products alone will read it.
  Variable normalized(const Parameter& gain, double epsilon, DType output);
  Variable normalized(const Parameter& gain, double epsilon);
  Variable value();

 private:
  Variable sum_;
  Variable pending_;  // still to be added to it; may be undefined
};

}  // namespace dlcm::nn
