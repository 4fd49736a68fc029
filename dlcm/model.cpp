#include "dlcm/model.h"

#include "autograd/ops.h"
#include "autograd/tape.h"
#include "nn/linear.h"

namespace dlcm {
namespace {

using nn::Variable;

// sum += row of x.
void add_row(const Tensor& x, int64_t row, std::vector<float>& sum) {
  const float* values = x.data<float>() + row * x.size(1);
  for (size_t i = 0; i < sum.size(); ++i) sum[i] += values[i];
}

// Index of the first token of each segment, as rows to gather from p.
Tensor first_tokens(const Segmentation& segmentation) {
  return segmentation.offsets.slice(0, segmentation.count);
}

}  // namespace

Dlcm::Dlcm(const ModelConfig& config)
    : LanguageModel(config),
      encoder_(*this, "encoder", block_config(config, config.token, config.encoder_layers, nn::Width::token),
               nn::FinalNorm::no),
      boundary_(*this, "boundary", config),
      concept_proj_(*this, "concept_proj", {config.backbone.width, config.token.width},
                    nn::matrix_role(nn::Width::token)),
      backbone_(*this, "backbone",
                block_config(config, config.backbone, config.backbone_layers, nn::Width::concepts),
                nn::FinalNorm::yes),
      smoothing_(*this, "smoothing", config),
      cross_attention_(*this, "cross_attention", config),
      decoder_(*this, "decoder", block_config(config, config.token, config.decoder_layers, nn::Width::token),
               nn::FinalNorm::yes) {
  create_unembedding();
}

std::unique_ptr<SequenceState> Dlcm::new_state() const {
  auto state = std::make_unique<DlcmState>();
  state->encoder = encoder_.new_state();
  state->backbone = backbone_.new_state();
  state->decoder = decoder_.new_state();
  return state;
}

ForwardOutput Dlcm::forward(const PackedBatch& batch, const ForwardOptions& options,
                            SequenceState* any_state) const {
  auto* state = static_cast<DlcmState*>(any_state);
  const Variable x = embedded(batch.tokens);
  const nn::SequenceLayout layout = encoder_.layout_for(batch.cu_seqlens, x.dtype());
  const Variable h = encoder_.forward(x, layout, options.recompute, state ? &state->encoder : nullptr);

  const Variable p = boundary_.probability(h, batch.cu_seqlens);
  const BoundaryDraw draw = {options.mode, options.alpha, options.seed, batch.samples};
  const Tensor boundary =
      options.boundary.defined() ? options.boundary : boundary_.decide(p.value(), batch.cu_seqlens, draw);
  ForwardOutput output;
  output.probability = p.value();
  output.segmentation = segment(boundary, batch.cu_seqlens);
  if (options.auxiliary != nullptr) {
    const Tensor weights = options.auxiliary->add(p.value(), boundary, batch.cu_seqlens);
    if (boundary_.trainable()) output.auxiliary = autograd::weighted_sum(p, weights);
  }

  const Variable z = reason(h, p, output.segmentation, options.recompute, state);
  const nn::ResidualStream y = cross_attention_.forward(h, z, output.segmentation, batch.cu_seqlens, p,
                                                        state ? &state->cross_attention : nullptr);
  output.hidden = decoder_.forward(y, layout, options.recompute, state ? &state->decoder : nullptr);
  if (state) remember(h.value(), p.value(), output.segmentation, *state);
  return output;
}

Variable Dlcm::reason(const Variable& h, const Variable& p, const Segmentation& segmentation,
                      nn::Recompute recompute, DlcmState* state) const {
  const Variable pooled = autograd::segment_mean(h, segmentation.offsets);
  const Variable concepts = nn::linear(pooled, concept_proj_);
  const nn::SequenceLayout layout = backbone_.layout_for(segmentation.cu_seqlens, h.dtype());
  const Variable z = backbone_.forward(concepts, layout, recompute, state ? &state->backbone : nullptr);
  const Variable segment_p = boundary_.predictor() == Predictor::learned ? p : p.detach();
  const Variable smoothed = smoothing_.forward(
      z, autograd::gather_rows(segment_p, first_tokens(segmentation)), segmentation.cu_seqlens);
  if (state) {
    const int64_t complete = segmentation.count - 1;  // the last segment is open: its concept is not final
    nn::truncate(state->backbone, complete);
    if (complete > 0) smoothing_.remember(z.value(), smoothed.value(), complete - 1, state->smoothing);
  }
  return smoothed;
}

void Dlcm::remember(const Tensor& h, const Tensor& p, const Segmentation& segmentation,
                    DlcmState& state) const {
  const int64_t tokens = h.size(0);
  const int32_t begin = segmentation.offsets.data<int32_t>()[segmentation.count - 1];
  const Tensor memory = boundary_.memory(h.slice(tokens - 1, tokens));
  if (memory.defined()) state.memory = memory.to_vector<float>();
  state.open_sum.assign(static_cast<size_t>(h.size(1)), 0.0f);
  for (int64_t t = begin; t < tokens; ++t) add_row(h, t, state.open_sum);
  state.open_length = tokens - begin;
  state.open_probability = p.data<float>()[begin];
  state.length = tokens;
}

void Dlcm::close_segments(const std::vector<DlcmState*>& closing) const {
  if (closing.empty()) return;
  const int64_t d = config().token.width;
  const int64_t wide = config().backbone.width;
  const auto rows = static_cast<int64_t>(closing.size());
  const Tensor pooled = Tensor::empty({rows, d});
  std::vector<nn::StackState*> stacks;
  std::vector<CrossAttentionState*> cross;
  std::vector<int64_t> lengths;
  for (int64_t b = 0; b < rows; ++b) {
    DlcmState& state = *closing[static_cast<size_t>(b)];
    const auto count = static_cast<float>(state.open_length);
    for (int64_t i = 0; i < d; ++i)
      pooled.data<float>()[b * d + i] = state.open_sum[static_cast<size_t>(i)] / count;
    stacks.push_back(&state.backbone);
    cross.push_back(&state.cross_attention);
    lengths.push_back(state.open_length);
  }
  const Tensor z = backbone_.step(nn::linear(Variable(pooled), concept_proj_), stacks).value();
  for (int64_t b = 0; b < rows; ++b) {
    DlcmState& state = *closing[static_cast<size_t>(b)];
    smoothing_.step(z.data<float>() + b * wide, state.open_probability, state.smoothing);
  }
  cross_attention_.append(z, lengths, cross);
}

StepOutput Dlcm::step(std::span<const int32_t> tokens, std::span<SequenceState* const> any_states) const {
  const autograd::NoGrad no_grad;
  std::vector<DlcmState*> states, closing;
  std::vector<nn::StackState*> encoders, decoders;
  std::vector<const CrossAttentionState*> cross;
  for (SequenceState* any_state : any_states) {
    auto* state = static_cast<DlcmState*>(any_state);
    states.push_back(state);
    encoders.push_back(&state->encoder);
    decoders.push_back(&state->decoder);
    cross.push_back(&state->cross_attention);
  }
  const Variable x = embedded(Tensor::from(std::vector<int32_t>(tokens.begin(), tokens.end())));
  const Variable h = encoder_.step(x, encoders);
  StepOutput output;
  decide_step(h.value(), states, output);
  for (size_t b = 0; b < states.size(); ++b) {
    if (output.boundary[b] != 0 && states[b]->open_length > 0) closing.push_back(states[b]);
  }
  close_segments(closing);
  for (size_t b = 0; b < states.size(); ++b) {
    DlcmState& state = *states[b];
    if (output.boundary[b] != 0) {
      state.open_sum.assign(static_cast<size_t>(h.size(1)), 0.0f);
      state.open_length = 0;
      state.open_probability = output.probability[b];
    }
    add_row(h.value(), static_cast<int64_t>(b), state.open_sum);
    ++state.open_length;
    ++state.length;
  }
  output.hidden = decoder_.step(cross_attention_.step(h, cross), decoders).value();
  return output;
}

// p and b of each sequence's new token, and what the next one will be compared with.
void Dlcm::decide_step(const Tensor& h, const std::vector<DlcmState*>& states, StepOutput& output) const {
  const Tensor memory = boundary_.memory(h);
  const Tensor probe = boundary_.probe(h);
  for (size_t b = 0; b < states.size(); ++b) {
    DlcmState& state = *states[b];
    const float* own =
        probe.defined() ? probe.data<float>() + static_cast<int64_t>(b) * probe.size(1) : nullptr;
    const bool first = state.length == 0;
    output.probability.push_back(first ? 1.0f
                                       : boundary_.probability_of(state.memory.data(), own, state.length));
    const bool begins = boundary_.decide_one(output.probability.back(), state.length);
    output.boundary.push_back(first || begins ? 1 : 0);
    if (memory.defined()) {
      state.memory = memory.slice(static_cast<int64_t>(b), static_cast<int64_t>(b) + 1).to_vector<float>();
    }
  }
}

}  // namespace dlcm
