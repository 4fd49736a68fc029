#include "dlcm/segmentation.h"

#include <cmath>
#include <vector>

#include "tensor/ops/offsets.h"

namespace dlcm {
namespace {

Tensor logarithms(const std::vector<double>& counts, DType dtype) {
  std::vector<double> values;
  values.reserve(counts.size());
  for (const double count : counts) values.push_back(std::log(count));
  return Tensor::from(values).to(dtype);
}

// Tokens in each segment.
std::vector<double> lengths(const Segmentation& segmentation) {
  const int32_t* offsets = segmentation.offsets.data<int32_t>();
  std::vector<double> result;
  for (int64_t k = 0; k < segmentation.count; ++k) result.push_back(offsets[k + 1] - offsets[k]);
  return result;
}

// Tokens of its segment up to and including each token.
std::vector<double> lengths_so_far(const Segmentation& segmentation) {
  const int32_t* offsets = segmentation.offsets.data<int32_t>();
  const int32_t* concept_of = segmentation.concept_of.data<int32_t>();
  std::vector<double> result;
  for (int64_t t = 0; t < segmentation.concept_of.numel(); ++t) {
    result.push_back(static_cast<double>(t - offsets[concept_of[t]] + 1));
  }
  return result;
}

// For each token, the element of `starts` [documents + 1] that belongs to its document.
Tensor of_document(const Tensor& cu_seqlens, const Tensor& starts) {
  const int32_t* offsets = cu_seqlens.data<int32_t>();
  const int64_t documents = cu_seqlens.numel() - 1;
  Tensor result = Tensor::empty({offsets[documents]}, DType::i32);
  for (int64_t document = 0; document < documents; ++document) {
    std::fill(result.data<int32_t>() + offsets[document], result.data<int32_t>() + offsets[document + 1],
              starts.data<int32_t>()[document]);
  }
  return result;
}

}  // namespace

Segmentation segment(const Tensor& boundary, const Tensor& cu_seqlens) {
  ops::check_offsets("segment", cu_seqlens, boundary.numel());
  const uint8_t* b = boundary.data<uint8_t>();
  const int32_t* documents = cu_seqlens.data<int32_t>();
  std::vector<int32_t> offsets, concept_of, concepts;
  for (int64_t document = 0; document + 1 < cu_seqlens.numel(); ++document) {
    concepts.push_back(static_cast<int32_t>(offsets.size()));
    for (int32_t t = documents[document]; t < documents[document + 1]; ++t) {
      DLCM_CHECK(b[t] != 0 || t > documents[document], "segment: no boundary at token ", t,
                 ", the first of document ", document);
      if (b[t] != 0) offsets.push_back(t);
      concept_of.push_back(static_cast<int32_t>(offsets.size()) - 1);
    }
  }
  Segmentation result;
  result.count = static_cast<int64_t>(offsets.size());
  concepts.push_back(static_cast<int32_t>(offsets.size()));
  offsets.push_back(static_cast<int32_t>(boundary.numel()));
  result.boundary = boundary;
  result.offsets = Tensor::from(offsets);
  result.concept_of = Tensor::from(concept_of);
  result.cu_seqlens = Tensor::from(concepts);
  return result;
}

ops::AttentionLayout concept_ranges(const Segmentation& segmentation, const Tensor& cu_seqlens,
                                    const CrossAttentionConfig& config, DType dtype) {
  const bool open_visible = config.visibility == Visibility::containing;
  ops::AttentionLayout layout;
  layout.key_begin = of_document(cu_seqlens, segmentation.cu_seqlens);
  layout.key_end = segmentation.concept_of.clone();  // k < j(t): only what is complete
  if (open_visible) {
    for (int64_t t = 0; t < layout.key_end.numel(); ++t) ++layout.key_end.data<int32_t>()[t];
  }
  if (config.weighting == Weighting::length) {
    layout.key_bias = logarithms(lengths(segmentation), dtype);
    if (open_visible) layout.last_bias = logarithms(lengths_so_far(segmentation), dtype);
  }
  return layout;
}

ops::AttentionLayout replicated_ranges(const Segmentation& segmentation, const Tensor& cu_seqlens,
                                       const CrossAttentionConfig& config, DType dtype) {
  const int32_t* offsets = segmentation.offsets.data<int32_t>();
  const int32_t* concept_of = segmentation.concept_of.data<int32_t>();
  const bool uniform = config.weighting == Weighting::uniform;
  const int64_t tokens = segmentation.concept_of.numel();
  ops::AttentionLayout layout;
  layout.key_begin = of_document(cu_seqlens, cu_seqlens);
  layout.key_end = Tensor::empty({tokens}, DType::i32);
  for (int64_t t = 0; t < tokens; ++t) {
    int32_t& end = layout.key_end.data<int32_t>()[t];
    if (config.visibility == Visibility::completed) {
      end = offsets[concept_of[t]];
    } else {
      // A concept that is to count once needs all of its copies; one that counts its tokens, those so far.
      end = uniform ? offsets[concept_of[t] + 1] : static_cast<int32_t>(t) + 1;
    }
  }
  if (uniform) {
    std::vector<double> inverse;
    const std::vector<double> counts = lengths(segmentation);
    for (int64_t t = 0; t < tokens; ++t) inverse.push_back(1.0 / counts[static_cast<size_t>(concept_of[t])]);
    layout.key_bias = logarithms(inverse, dtype);
  }
  return layout;
}

}  // namespace dlcm
