// Compression statistics and the auxiliary loss of one optimizer step (section 5; Eq. 8-10).
//
//   F = mean of b, G = mean of p over the counted tokens (all but each document's first, whose p is forced);
//   L_aux = R/(R-1) ((R-1) F G + (1-F)(1-G)) - 1,   with F constant dL_aux/dG = R/(R-1) (R F - 1).
//
// The loss of a step is linear in p once the boundaries are drawn, so each micro-batch contributes a weighted
// sum of its p, and its gradient is what the tape returns for that sum. Scopes differ in the weights alone:
//   sequence  F, G and L_aux of each document, averaged over the step's documents (with a counted token);
//   batch     of each micro-batch, averaged over the micro-batches;
//   global    of the whole step. F is known only after the last micro-batch, so for `decoupled`, where the
//   sum of p
//             reaches nothing but W_q and W_k, p is summed with weight 1 and the gradients of those two are
//             multiplied with deferred_factor() at the end: exact for any number of micro-batches and ranks.
//             For `learned` the counts of the step so far stand for F.
#pragma once

#include "dlcm/config.h"
#include "tensor/tensor.h"

namespace dlcm {

// What is known of a step before its first micro-batch runs.
struct StepTotals {
  int64_t predicted_tokens = 0;  // targets that are not -1
  int64_t counted_tokens = 0;    // all tokens but the first of each document
  int64_t documents = 0;         // with at least one counted token
  int64_t micro_batches = 0;
};

class AuxiliaryLoss {
 public:
  AuxiliaryLoss(const BoundaryConfig& config, const StepTotals& totals) : config_(config), totals_(totals) {}

  // Adds a micro-batch to the counts and returns the weights w [T] (dtype of p) of its p: lambda times the
  // gradient of L_aux is that of sum_t w_t p_t, up to deferred_factor(). p [T], boundary [T] u8, cu_seqlens
  // [documents + 1] i32.
  Tensor add(const Tensor& p, const Tensor& boundary, const Tensor& cu_seqlens);

  // What the gradients of W_q and W_k are to be multiplied with after the last micro-batch; 1 where the
  // weights were final.
  double deferred_factor() const;

  double value() const;          // L_aux of the step so far, without lambda
  double boundary_rate() const;  // F
  double boundary_mean() const;  // G
  // Tokens over concepts, both with the documents' first tokens.
  double tokens_per_concept() const;

 private:
  struct Counts {
    double p = 0;  // sum of p over counted tokens
    int64_t boundaries = 0;
    int64_t tokens = 0;
  };
  bool deferred() const;
  double loss(const Counts& counts) const;
  double slope(const Counts& counts) const;  // dL_aux/dG

  BoundaryConfig config_;
  StepTotals totals_;
  Counts counts_;
  int64_t concepts_ = 0;
  int64_t all_tokens_ = 0;
  double loss_sum_ = 0;  // of documents or micro-batches, for the scopes that average losses
  int64_t loss_terms_ = 0;
};

}  // namespace dlcm
