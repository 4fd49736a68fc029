#include "apps/evaluation/dump.h"

#include <algorithm>
#include <limits>

namespace dlcm::apps {
namespace {

constexpr int64_t kChunk = 65536;  // elements
constexpr char kFormat[] = "dlcm-evaluation";

}  // namespace

bool is_evaluation_dump(const std::string& path) {
  try {
    const data::Hdf5Reader file(path);
    return file.has_attribute("format") && file.is_text_attribute("format") &&
           file.text_attribute("format") == kFormat;
  } catch (const Error&) {
    return false;  // no HDF5 file, or a damaged one
  }
}

EvaluationDump::EvaluationDump(const std::string& path, const LanguageModel& model, DumpLogits logits,
                               const DumpSources& sources)
    : model_(model), logits_(logits), writer_(path) {
  writer_.attribute("format", std::string(kFormat));
  writer_.attribute("version", int64_t{1});
  writer_.attribute("checkpoint", sources.checkpoint);
  writer_.attribute("data", sources.data);
  writer_.growing_dataset("/tokens", data::ElementType::i32, kChunk);
  writer_.growing_dataset("/loss", data::ElementType::f32, kChunk);
  writer_.growing_dataset("/boundary_probability", data::ElementType::f32, kChunk);
  writer_.growing_dataset("/boundary", data::ElementType::u8, kChunk);
  if (logits_ == DumpLogits::yes) {
    const int64_t vocabulary = model.config().vocab_size;
    writer_.growing_dataset("/logits", data::ElementType::f32, std::max<int64_t>(1, kChunk / vocabulary),
                            vocabulary);
  }
}

void EvaluationDump::add(const EvaluatedBatch& evaluated) {
  const PackedBatch& batch = evaluated.batch;
  const int64_t tokens = batch.token_count();
  const int64_t before = offsets_.back();
  DLCM_CHECK(before + tokens <= std::numeric_limits<int32_t>::max(),
             "--dump: more than 2147483647 tokens; give fewer with --max-tokens");
  const auto* ends = batch.cu_seqlens.data<int32_t>() + 1;
  for (int64_t document = 0; document < batch.document_count(); ++document) {
    offsets_.push_back(static_cast<int32_t>(before + ends[document]));
  }
  std::vector<float> losses = evaluated.token_loss.to_vector<float>();
  const auto* targets = batch.targets.data<int32_t>();
  for (size_t t = 0; t < losses.size(); ++t) {
    if (targets[t] < 0) losses[t] = std::numeric_limits<float>::quiet_NaN();
  }
  writer_.append("/tokens", batch.tokens.data<int32_t>(), tokens);
  writer_.append("/loss", losses.data(), tokens);
  add_boundaries(evaluated.output, tokens);
  if (logits_ == DumpLogits::yes) add_logits(evaluated.output.hidden.value());
}

void EvaluationDump::add_boundaries(const ForwardOutput& output, int64_t tokens) {
  if (output.probability.defined()) {
    writer_.append("/boundary_probability", output.probability.data<float>(), tokens);
    writer_.append("/boundary", output.segmentation.boundary.data<uint8_t>(), tokens);
    return;
  }
  const std::vector<float> no_probability(static_cast<size_t>(tokens), 0.0f);
  const std::vector<uint8_t> no_boundary(static_cast<size_t>(tokens), 0);
  writer_.append("/boundary_probability", no_probability.data(), tokens);
  writer_.append("/boundary", no_boundary.data(), tokens);
}

// By chunks of rows: the logits of a batch may be larger than everything else.
void EvaluationDump::add_logits(const Tensor& hidden) {
  const int64_t rows = std::max<int64_t>(1, (int64_t{1} << 22) / model_.config().vocab_size);
  for (int64_t begin = 0; begin < hidden.size(0); begin += rows) {
    const Tensor logits = model_.logits(hidden.slice(begin, std::min(hidden.size(0), begin + rows)));
    writer_.append("/logits", logits.data<float>(), logits.numel());
  }
}

void EvaluationDump::close() {
  writer_.dataset("/cu_seqlens", {static_cast<int64_t>(offsets_.size())}, offsets_.data());
  writer_.finish();
  writer_.publish();
}

}  // namespace dlcm::apps
