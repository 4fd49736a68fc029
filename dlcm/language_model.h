// What training, evaluation and generation ask of a model: Dlcm (model.h) and the baseline Transformer
// (transformer.h).
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "dlcm/auxiliary_loss.h"
#include "dlcm/boundary.h"
#include "dlcm/config.h"
#include "dlcm/segmentation.h"
#include "nn/module.h"
#include "nn/stack.h"
#include "tensor/batch.h"

namespace dlcm {

// How a forward pass runs.
struct ForwardOptions {
  Mode mode = Mode::evaluate;
  double alpha = 1.0;  // sharpening temperature of this step's boundaries
  uint64_t seed = 0;   // of the boundaries
  nn::Recompute recompute = nn::Recompute::none;
  AuxiliaryLoss* auxiliary = nullptr;  // counts this batch where given
  Tensor boundary;  // [T] u8: decisions to use in place of the predictor's own; undefined otherwise
};

struct ForwardOutput {
  nn::Variable hidden;     // [T, d]: what the unembedding multiplies
  nn::Variable auxiliary;  // [1]: the batch's part of lambda L_aux up to a constant (auxiliary_loss.h); may
                           // be undefined
  Tensor probability;      // [T] p; undefined for a transformer
  Segmentation segmentation;  // boundary undefined for a transformer
};

// Of one sequence that is being generated; each model has its own.
class SequenceState {
 public:
  virtual ~SequenceState() = default;
};

// One step of B sequences.
struct StepOutput {
  Tensor hidden;                   // [B, d]
  std::vector<float> probability;  // p of the token; empty for a transformer
  std::vector<uint8_t> boundary;   // whether the token began a concept; likewise
};

// What a stack of the model is built of.
nn::BlockConfig block_config(const ModelConfig& model, const StackConfig& stack, int64_t layers,
                             nn::Width fan_in);

class LanguageModel : public nn::Module {
 public:
  explicit LanguageModel(const ModelConfig& config);

  const ModelConfig& config() const { return config_; }

  // A packed batch; `state` (of a batch of one document) is filled as if the tokens had come one by one.
  virtual ForwardOutput forward(const PackedBatch& batch, const ForwardOptions& options,
                                SequenceState* state = nullptr) const = 0;
  virtual std::unique_ptr<SequenceState> new_state() const = 0;
  // The next token of each of B sequences. Each row's result depends on its own sequence alone,
  // to the bit.
  virtual StepOutput step(std::span<const int32_t> tokens, std::span<SequenceState* const> states) const = 0;
  // Parameters whose gradients AuxiliaryLoss::deferred_factor() multiplies; empty for a transformer.
  virtual std::vector<nn::Parameter*> boundary_parameters() const { return {}; }

  // Logits [rows, V] of hidden rows (Eq. 21).
  Tensor logits(const Tensor& hidden) const;
  // Sum of the cross-entropy of hidden [T, d] against targets [T], shape [1]; `token_loss`, if not null,
  // receives [T].
  nn::Variable loss(const nn::Variable& hidden, const Tensor& targets, Tensor* token_loss = nullptr) const;

 protected:
  nn::Variable embedded(const Tensor& tokens) const;
  // Called by the models last, so that parameters are listed in the order of the computation. Does nothing
  // where the embedding is the unembedding too.
  void create_unembedding();

 private:
  const nn::Parameter& unembedding() const { return unembedding_ ? *unembedding_ : embedding_; }

  ModelConfig config_;
  nn::Parameter embedding_;
  std::unique_ptr<nn::Parameter> unembedding_;  // null where embeddings are tied
};

// The model that a configuration describes, without values: see nn::Module::initialize. Throws InputError
// where the configuration is impossible.
std::unique_ptr<LanguageModel> make_model(const ModelConfig& config);

// A batch of one document whose tokens predict each other: for prompts and tests.
PackedBatch single_document(std::span<const int32_t> tokens);

}  // namespace dlcm
