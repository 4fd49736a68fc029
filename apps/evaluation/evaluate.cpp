#include "apps/evaluation/evaluate.h"

#include <cmath>
#include <limits>
#include <numbers>

#include "autograd/tape.h"
#include "data/tokenizer.h"

namespace dlcm::apps {
namespace {

// Sums over documents of any number of batches, each added in the order of the tokens.
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

// A document of a batch, by its number there.
void add_losses(const PackedBatch& batch, const Tensor& token_loss, int64_t document, Sums& sums) {
  const auto* offsets = batch.cu_seqlens.data<int32_t>() + document;
  const auto* targets = batch.targets.data<int32_t>();
  const auto* losses = token_loss.data<float>();
  for (int32_t t = offsets[0]; t < offsets[1]; ++t) {
    if (targets[t] < 0) continue;
    sums.loss += losses[t];
    ++sums.predicted;
  }
  sums.tokens += offsets[1] - offsets[0];
}

void add_boundaries(const PackedBatch& batch, const ForwardOutput& output, int64_t document, Sums& sums) {
  const auto* offsets = batch.cu_seqlens.data<int32_t>() + document;
  const auto* concepts = output.segmentation.cu_seqlens.data<int32_t>() + document;
  const auto* p = output.probability.data<float>();
  const auto* boundary = output.segmentation.boundary.data<uint8_t>();
  for (int32_t t = offsets[0] + 1; t < offsets[1]; ++t) {
    sums.p += p[t];
    sums.boundaries += boundary[t];
    ++sums.counted;
  }
  sums.concepts += concepts[1] - concepts[0];
}

double ratio(double numerator, int64_t count, double of_none) {
  return count > 0 ? numerator / static_cast<double>(count) : of_none;
}

EvaluationNumbers numbers_of(const Sums& sums) {
  constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
  EvaluationNumbers result;
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
  const std::vector<std::string> domains = reader.domains();
  Sums all;
  std::vector<Sums> by_domain(domains.size());
  reader.restart();
  while (const std::optional<data::HeldoutBatch> next = reader.next()) {
    const ForwardOutput output = model.forward(next->batch, {});
    Tensor token_loss;
    model.loss(output.hidden, next->batch.targets, &token_loss);
    for (int64_t document = 0; document < next->batch.document_count(); ++document) {
      const data::HeldoutPiece& piece = next->pieces[static_cast<size_t>(document)];
      for (Sums* sums : {&all, &by_domain[piece.domain]}) {
        add_losses(next->batch, token_loss, document, *sums);
        if (output.probability.defined()) add_boundaries(next->batch, output, document, *sums);
        sums->bytes += piece.bytes;
      }
    }
    if (sink) sink({next->batch, output, token_loss});
  }
  DLCM_CHECK_INPUT(all.predicted > 0,
                   "evaluation: no token is to be predicted; give more text or more tokens");
  EvaluationResult result{numbers_of(all), {}};
  for (size_t i = 0; i < domains.size(); ++i) {
    if (domains[i].empty() || by_domain[i].predicted == 0) continue;
    result.domains.emplace_back(domains[i], numbers_of(by_domain[i]));
  }
  return result;
}

void require_same_tokenizer(const data::HeldoutReader& reader, const ModelVocabulary& model,
                            const std::string& data_name) {
  const bool known = model.tokenizers.empty() || std::find(model.tokenizers.begin(), model.tokenizers.end(),
                                                           reader.tokenizer()) != model.tokenizers.end();
  DLCM_CHECK_INPUT(known, "'", data_name, "' was made with tokenizer '", reader.tokenizer(), "', but '",
                   model.model_name, "' with '", model.tokenizers.front(),
                   "': give shards of the tokenizer that the model was trained with");
  DLCM_CHECK_INPUT(reader.vocab_size() <= model.vocab_size, "'", data_name, "' has a vocabulary of ",
                   reader.vocab_size(), " ids, but '", model.model_name, "' of ", model.vocab_size,
                   ": give shards of the tokenizer that the model was trained with");
}

}  // namespace dlcm::apps
