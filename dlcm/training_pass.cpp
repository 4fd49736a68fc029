#include "dlcm/training_pass.h"

#include <cmath>

#include "autograd/tape.h"
#include "dlcm/not_finite.h"
#include "tensor/ops/elementwise.h"

namespace dlcm {
namespace {

// One micro-batch; returns the sum of its losses.
double add_micro_batch(LanguageModel& model, const PackedBatch& batch, const ForwardOptions& options,
                       double loss_scale) {
  autograd::Tape tape;
  std::vector<autograd::Root> roots;
  {
    const autograd::Tape::Recording recording(tape);
    const ForwardOutput output = model.forward(batch, options);
    roots.push_back({model.loss(output.hidden, batch.targets), loss_scale});
    if (output.auxiliary.defined()) roots.push_back({output.auxiliary, 1.0});
  }
  const double sum = roots.front().value.value().item();
  tape.backward(roots);
  return sum;
}

}  // namespace

StepTotals totals_of(const std::vector<PackedBatch>& batches) {
  StepTotals totals;
  for (const PackedBatch& batch : batches) {
    for (const int32_t target : batch.targets.to_vector<int32_t>())
      totals.predicted_tokens += target >= 0 ? 1 : 0;
    const std::vector<int32_t> offsets = batch.cu_seqlens.to_vector<int32_t>();
    for (size_t document = 0; document + 1 < offsets.size(); ++document) {
      const int64_t counted = offsets[document + 1] - offsets[document] - 1;
      if (counted <= 0) continue;
      totals.counted_tokens += counted;
      ++totals.documents;
    }
    ++totals.micro_batches;
  }
  return totals;
}

PassResult accumulate_gradients(LanguageModel& model, const std::vector<PackedBatch>& batches,
                                const ForwardOptions& options, const std::vector<Tensor>& boundaries) {
  PassResult result;
  result.totals = totals_of(batches);
  DLCM_CHECK(result.totals.predicted_tokens > 0, "training step: no token of the batch is to be predicted");
  const double loss_scale = 1.0 / static_cast<double>(result.totals.predicted_tokens);
  AuxiliaryLoss auxiliary(model.config().boundary, result.totals);
  double loss_sum = 0;
  for (size_t i = 0; i < batches.size(); ++i) {
    ForwardOptions own = options;
    own.auxiliary = &auxiliary;
    own.boundary = boundaries.empty() ? Tensor() : boundaries.at(i);
    loss_sum += add_micro_batch(model, batches[i], own, loss_scale);
  }
  result.loss = loss_sum * loss_scale;
  if (!std::isfinite(result.loss)) {
    throw NotFiniteError(concat("training step: the loss is ", result.loss,
                                "; lower rates or a longer schedule.warmup may help"));
  }
  for (nn::Parameter* parameter : model.boundary_parameters()) {
    if (parameter->grad().defined()) ops::scale_into(parameter->grad(), auxiliary.deferred_factor());
  }
  result.auxiliary_loss = auxiliary.value();
  result.boundary_rate = auxiliary.boundary_rate();
  result.boundary_mean = auxiliary.boundary_mean();
  result.tokens_per_concept = auxiliary.tokens_per_concept();
  return result;
}

}  // namespace dlcm
