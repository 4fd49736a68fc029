// The Dynamic Large Concept Model (section 3 of the paper, Eq. 1-4, 11-15):
//
//   H = E(x)            encoder over tokens             encoder_
//   p, b                where concepts begin            boundary_
//   c_k = W_up mean h   one vector per segment          concept_proj_
//   Z = M(C)            backbone over concepts          backbone_
//   Z~ = S(Z)           smoothing                       smoothing_
//   Psi(H, Z~)          tokens attend to concepts       cross_attention_
//   y = D(Psi)          decoder over tokens             decoder_
#pragma once

#include "dlcm/cross_attention.h"
#include "dlcm/language_model.h"
#include "dlcm/smoothing.h"

namespace dlcm {

// All that generation keeps of one sequence (section 12).
struct DlcmState : SequenceState {
  nn::StackState encoder, backbone, decoder;
  std::vector<float> memory;    // of the last token, for the next boundary (BoundaryPredictor::memory)
  std::vector<float> open_sum;  // sum of h over the open segment
  int64_t open_length = 0;      // its tokens; 0 before the first token
  float open_probability = 1;   // p of its first token
  SmoothingState smoothing;
  CrossAttentionState cross_attention;
  int64_t length = 0;  // tokens so far
};

class Dlcm : public LanguageModel {
 public:
  explicit Dlcm(const ModelConfig& config);

  ForwardOutput forward(const PackedBatch& batch, const ForwardOptions& options,
                        SequenceState* state = nullptr) const override;
  std::unique_ptr<SequenceState> new_state() const override;
  // A token runs through the encoder; where it begins a concept, the open segment is closed first: pooled,
  // one backbone step, smoothed, its key and value appended. So the backbone runs only for the rows whose
  // concept closes.
  StepOutput step(std::span<const int32_t> tokens, std::span<SequenceState* const> states) const override;
  std::vector<nn::Parameter*> boundary_parameters() const override { return boundary_.projections(); }

 private:
  // The pass from states of tokens to smoothed concepts; fills `state` where given.
  nn::Variable reason(const nn::Variable& h, const nn::Variable& p, const Segmentation& segmentation,
                      nn::Recompute recompute, DlcmState* state) const;
  void remember(const Tensor& h, const Tensor& p, const Segmentation& segmentation, DlcmState& state) const;
  void decide_step(const Tensor& h, const std::vector<DlcmState*>& states, StepOutput& output) const;
  void close_segments(const std::vector<DlcmState*>& closing) const;

  nn::Stack encoder_;
  BoundaryPredictor boundary_;
  nn::Parameter concept_proj_;  // W_up [D, d]
  nn::Stack backbone_;
  ConceptSmoothing smoothing_;
  CrossAttention cross_attention_;
  nn::Stack decoder_;
};

}  // namespace dlcm
