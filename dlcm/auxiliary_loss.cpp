#include "dlcm/auxiliary_loss.h"

#include <algorithm>

#include "tensor/ops/offsets.h"

namespace dlcm {

bool AuxiliaryLoss::deferred() const {
  return config_.scope == Scope::global && config_.predictor == Predictor::decoupled;
}

double AuxiliaryLoss::slope(const Counts& counts) const {
  if (counts.tokens == 0) return 0;
  const double r = config_.tokens_per_concept;
  const double f = static_cast<double>(counts.boundaries) / static_cast<double>(counts.tokens);
  return r / (r - 1) * (r * f - 1);
}

double AuxiliaryLoss::loss(const Counts& counts) const {
  if (counts.tokens == 0) return 0;
  const double r = config_.tokens_per_concept;
  const double f = static_cast<double>(counts.boundaries) / static_cast<double>(counts.tokens);
  const double g = counts.p / static_cast<double>(counts.tokens);
  return r / (r - 1) * ((r - 1) * f * g + (1 - f) * (1 - g)) - 1;
}

Tensor AuxiliaryLoss::add(const Tensor& p, const Tensor& boundary, const Tensor& cu_seqlens) {
  ops::check_offsets("auxiliary loss", cu_seqlens, p.numel());
  const std::vector<double> values = p.to(DType::f64).to_vector<double>();
  const uint8_t* b = boundary.data<uint8_t>();
  const int32_t* offsets = cu_seqlens.data<int32_t>();
  std::vector<double> weights(values.size(), 0.0);
  const auto weigh = [&](int32_t begin, int32_t end, double weight) {
    for (int32_t t = begin + 1; t < end; ++t) weights[static_cast<size_t>(t)] = weight;
  };
  Counts batch;
  for (int64_t document = 0; document + 1 < cu_seqlens.numel(); ++document) {
    const int32_t begin = offsets[document], end = offsets[document + 1];
    Counts own;
    for (int32_t t = begin + 1; t < end; ++t) {
      own.p += values[static_cast<size_t>(t)];
      own.boundaries += b[t];
      ++own.tokens;
    }
    ++concepts_;  // the first token of every document opens one
    batch = {batch.p + own.p, batch.boundaries + own.boundaries, batch.tokens + own.tokens};
    if (config_.scope == Scope::sequence && own.tokens > 0) {
      weigh(begin, end, config_.weight * slope(own) / static_cast<double>(own.tokens * totals_.documents));
      loss_sum_ += loss(own);
      ++loss_terms_;
    }
  }
  counts_ = {counts_.p + batch.p, counts_.boundaries + batch.boundaries, counts_.tokens + batch.tokens};
  concepts_ += batch.boundaries;
  all_tokens_ += p.numel();
  double weight = 1.0;  // of every token of the micro-batch: global scope, deferred
  if (config_.scope == Scope::batch) {
    weight = config_.weight * slope(batch) /
             static_cast<double>(std::max<int64_t>(1, batch.tokens * totals_.micro_batches));
    loss_sum_ += loss(batch);
    ++loss_terms_;
  } else if (config_.scope == Scope::global && !deferred()) {
    weight =
        config_.weight * slope(counts_) / static_cast<double>(std::max<int64_t>(1, totals_.counted_tokens));
  }
  if (config_.scope != Scope::sequence) {
    for (int64_t document = 0; document + 1 < cu_seqlens.numel(); ++document) {
      weigh(offsets[document], offsets[document + 1], weight);
    }
  }
  return Tensor::from(weights).to(p.dtype());
}

double AuxiliaryLoss::deferred_factor() const {
  if (!deferred()) return 1.0;
  return config_.weight * slope(counts_) / static_cast<double>(std::max<int64_t>(1, totals_.counted_tokens));
}

double AuxiliaryLoss::value() const {
  if (config_.scope == Scope::global) return loss(counts_);
  return loss_terms_ == 0 ? 0 : loss_sum_ / static_cast<double>(loss_terms_);
}

double AuxiliaryLoss::boundary_rate() const {
  return counts_.tokens == 0 ? 0
                             : static_cast<double>(counts_.boundaries) / static_cast<double>(counts_.tokens);
}

double AuxiliaryLoss::boundary_mean() const {
  return counts_.tokens == 0 ? 0 : counts_.p / static_cast<double>(counts_.tokens);
}

double AuxiliaryLoss::tokens_per_concept() const {
  return concepts_ == 0 ? 0 : static_cast<double>(all_tokens_) / static_cast<double>(concepts_);
}

}  // namespace dlcm
