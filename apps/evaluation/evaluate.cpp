#include "apps/evaluation/evaluate.h"

#include <cmath>
#include <limits>
#include <numbers>

#include "autograd/tape.h"

namespace dlcm::apps {
namespace {

// Sums over all batches, each added in the order of the tokens.
struct Sums {
  double loss = 0;
  double p = 0;
  int64_t predicted = 0;
  int64_t bytes = 0;
  int64_t boundaries = 0;  // the documents' first tokens not counted
  int64_t counted = 0;     // tokens that p and boundaries count
  int64_t tokens = 0;
  int64_t concepts = 0;
};

void add_losses(const PackedBatch& batch, const Tensor& token_loss, Sums& sums) {
  const auto* targets = batch.targets.data<int32_t>();
  const auto* losses = token_loss.data<float>();
  for (int64_t t = 0; t < batch.token_count(); ++t) {
    if (targets[t] < 0) continue;
    sums.loss += losses[t];
    ++sums.predicted;
  }
  sums.tokens += batch.token_count();
}

void add_boundaries(const PackedBatch& batch, const ForwardOutput& output, Sums& sums) {
  const auto* offsets = batch.cu_seqlens.data<int32_t>();
  const auto* p = output.probability.data<float>();
  const auto* boundary = output.segmentation.boundary.data<uint8_t>();
  for (int64_t document = 0; document < batch.document_count(); ++document) {
    for (int32_t t = offsets[document] + 1; t < offsets[document + 1]; ++t) {
      sums.p += p[t];
      sums.boundaries += boundary[t];
      ++sums.counted;
    }
  }
  sums.concepts += output.segmentation.count;
}

double ratio(double numerator, int64_t count, double of_none) {
  return count > 0 ? numerator / static_cast<double>(count) : of_none;
}

EvaluationResult result_of(const Sums& sums) {
  constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
  EvaluationResult result;
  result.loss = ratio(sums.loss, sums.predicted, kUnknown);
  result.bits_per_byte = ratio(sums.loss / std::numbers::ln2, sums.bytes, kUnknown);
  result.tokens = sums.predicted;
  result.bytes = sums.bytes;
  result.tokens_per_concept = ratio(static_cast<double>(sums.tokens), sums.concepts, 0);
  result.boundary_rate = ratio(static_cast<double>(sums.boundaries), sums.counted, 0);
  result.boundary_mean = ratio(sums.p, sums.counted, 0);
  return result;
}

}  // namespace

EvaluationResult evaluate(const LanguageModel& model, data::HeldoutReader& reader,
                          const EvaluationSink& sink) {
  const autograd::NoGrad no_grad;
  Sums sums;
  reader.restart();
  while (const std::optional<data::HeldoutBatch> next = reader.next()) {
    const ForwardOutput output = model.forward(next->batch, {});
    Tensor token_loss;
    model.loss(output.hidden, next->batch.targets, &token_loss);
    add_losses(next->batch, token_loss, sums);
    sums.bytes += next->bytes;
    if (output.probability.defined()) add_boundaries(next->batch, output, sums);
    if (sink) sink({next->batch, output, token_loss});
  }
  DLCM_CHECK_INPUT(sums.predicted > 0,
                   "evaluation: no token is to be predicted; give more text or more tokens");
  return result_of(sums);
}

void require_same_tokenizer(const data::HeldoutReader& reader, const ModelVocabulary& model,
                            const std::string& data_name) {
  DLCM_CHECK_INPUT(reader.tokenizer() == model.tokenizer, "'", data_name, "' was made with tokenizer '",
                   reader.tokenizer(), "', but '", model.model_name, "' with '", model.tokenizer,
                   "': give shards of the tokenizer that the model was trained with");
  DLCM_CHECK_INPUT(reader.vocab_size() == model.vocab_size, "'", data_name, "' has a vocabulary of ",
                   reader.vocab_size(), " ids, but '", model.model_name, "' of ", model.vocab_size,
                   ": give shards of the tokenizer that the model was trained with");
}

}  // namespace dlcm::apps
