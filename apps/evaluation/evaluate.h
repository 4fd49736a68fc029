// How well a model predicts held-out text, with thresholded boundaries: for the program `evaluate` and during
// training.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "data/heldout.h"
#include "dlcm/language_model.h"

namespace dlcm::apps {

struct EvaluationNumbers {
  double loss = 0;           // nats per predicted token
  double bits_per_byte = 0;  // loss * tokens / (ln 2 * bytes)
  int64_t tokens = 0;        // predicted
  int64_t bytes = 0;         // of the documents' text
  // Of thresholded boundaries, as in training (AuxiliaryLoss): tokens over concepts, both with the documents'
  // first tokens; F and G without. 0 for a transformer.
  double tokens_per_concept = 0;
  double boundary_rate = 0;
  double boundary_mean = 0;
};

// All of the text together, and by domain.
struct EvaluationResult : EvaluationNumbers {
  // In the reader's order; without those of which no token is predicted. Empty where the shards lie in no
  // folders of domains.
  std::vector<std::pair<std::string, EvaluationNumbers>> domains;
};

// One batch and what the model made of it.
struct EvaluatedBatch {
  const PackedBatch& batch;
  const ForwardOutput& output;
  const Tensor& token_loss;  // [T] f32, 0 where nothing is predicted
};
using EvaluationSink = std::function<void(const EvaluatedBatch&)>;

// Reads `reader` from its beginning to its end; where `sink` is given, it sees each batch. The model may be
// one that is being trained: nothing of it changes. Throws InputError where no token is to be predicted.
EvaluationResult evaluate(const LanguageModel& model, data::HeldoutReader& reader,
                          const EvaluationSink& sink = {});

// Whose ids a model predicts; the names are for messages.
struct ModelVocabulary {
  int64_t vocab_size = 0;
  std::vector<std::string> tokenizers;  // the identities that stand for its ids; empty where none is known
  std::string model_name;
};
// Throws InputError unless the data was made with the model's tokenizer, or that is not known, and the model
// has all of the data's ids: it may have more. The tokenizer itself is not needed.
void require_same_tokenizer(const data::HeldoutReader& reader, const ModelVocabulary& model,
                            const std::string& data_name);

}  // namespace dlcm::apps
