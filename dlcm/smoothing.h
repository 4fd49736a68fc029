// Smoothing of the concepts that the backbone returns (section 7; Eq. 11).
#pragma once

#include <memory>
#include <vector>

#include "dlcm/config.h"
#include "nn/module.h"

namespace dlcm {

// What a sequence's next concept is smoothed with: the previous concept (blend) or the previous result (ema).
struct SmoothingState {
  std::vector<float> previous;  // empty before the first concept
};

class ConceptSmoothing : public nn::Module {
 public:
  ConceptSmoothing(nn::Module& parent, const std::string& name, const ModelConfig& config);

  // z [M, D]; p [M]: the boundary probability of each segment's first token, differentiable for `learned`;
  // cu_seqlens [documents + 1] counts concepts.
  nn::Variable forward(const nn::Variable& z, const nn::Variable& p, const Tensor& cu_seqlens) const;
  // One new concept of one sequence: z has D elements and is replaced by its smoothed value.
  void step(float* z, float p, SmoothingState& state) const;
  // The state after concept `row` of one sequence that went through forward().
  void remember(const Tensor& z, const Tensor& smoothed, int64_t row, SmoothingState& state) const;

 private:
  Smoothing kind_;
  int64_t width_;
  std::unique_ptr<nn::Parameter> gate_;
};

}  // namespace dlcm
