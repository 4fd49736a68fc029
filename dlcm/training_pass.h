// Forward and backward over the micro-batches of one optimizer step: the gradients and what is logged. The
// sum over micro-batches of what this adds up equals one pass over all of them at once (section 5 of the
// model's description).
#pragma once

#include <vector>

#include "dlcm/language_model.h"

namespace dlcm {

struct PassResult {
  double loss = 0;  // nats per predicted token, over the whole step
  double auxiliary_loss = 0;
  double boundary_rate = 0;       // F
  double boundary_mean = 0;       // G
  double tokens_per_concept = 0;  // as sampled, all tokens over all concepts
  StepTotals totals;
};

// What is known of the step from its batches alone.
StepTotals totals_of(const std::vector<PackedBatch>& batches);

// Leaves the gradient of L = CE + lambda L_aux (Eq. 15) in the model's parameters, whose gradients must be
// clear. `options.auxiliary` and `options.boundary` are ignored; `boundaries`, if not empty, gives each
// batch's decisions. Throws Error where nothing is to be predicted, NotFiniteError
// where the loss is not finite.
PassResult accumulate_gradients(LanguageModel& model, const std::vector<PackedBatch>& batches,
                                const ForwardOptions& options, const std::vector<Tensor>& boundaries = {});

}  // namespace dlcm
