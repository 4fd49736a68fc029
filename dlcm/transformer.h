// The baseline (section 13): a LLaMA-style decoder of the same blocks.
#pragma once

#include "dlcm/language_model.h"

namespace dlcm {

struct TransformerState : SequenceState {
  nn::StackState decoder;
};

class Transformer : public LanguageModel {
 public:
  explicit Transformer(const ModelConfig& config);

  ForwardOutput forward(const PackedBatch& batch, const ForwardOptions& options,
                        SequenceState* state = nullptr) const override;
  std::unique_ptr<SequenceState> new_state() const override;
  StepOutput step(std::span<const int32_t> tokens, std::span<SequenceState* const> states) const override;

 private:
  nn::Stack decoder_;
};

}  // namespace dlcm
