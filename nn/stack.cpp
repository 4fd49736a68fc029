#include "nn/stack.h"

#include "autograd/checkpoint.h"
#include "autograd/ops.h"
#include "tensor/ops/rotary_table.h"

namespace dlcm::nn {
namespace {

// The block's output; its input alone is kept for backward, so nothing may be pending between such blocks.
Variable recomputed(const TransformerBlock& block, const SequenceLayout& layout, const Variable& x) {
  const auto run = [&block, layout](const std::vector<Variable>& inputs) {
    ResidualStream stream(inputs.front());
    block.forward(stream, layout);
    return std::vector<Variable>{stream.value()};
  };
  return autograd::checkpoint(run, {x}).front();
}

}  // namespace

void truncate(StackState& state, int64_t length) {
  for (KeyValueCache& cache : state.layers) cache.truncate(length);
  state.length = length;
}

Stack::Stack(Module& parent, const std::string& name, const BlockConfig& config, FinalNorm final_norm)
    : Module(parent, name), config_(config) {
  for (int64_t layer = 0; layer < config.layers; ++layer) {
    layers_.push_back(std::make_unique<TransformerBlock>(*this, "layers/" + std::to_string(layer), config));
  }
  if (final_norm == FinalNorm::yes) {
    norm_ = std::make_unique<Parameter>(*this, "norm", Shape{config.width}, vector_role(1.0));
  }
}

StackState Stack::new_state() const {
  StackState state;
  state.layers.resize(layers_.size());
  return state;
}

SequenceLayout Stack::layout_for(const Tensor& cu_seqlens, DType dtype) const {
  return make_layout(cu_seqlens, config_.head_dim(), dtype, config_.rotary_base);
}

Variable Stack::output(ResidualStream& x) const {
  return norm_ ? x.normalized(*norm_, config_.norm_epsilon) : x.value();
}

Variable Stack::forward(ResidualStream x, const SequenceLayout& layout, Recompute recompute,
                        StackState* state) const {
  for (size_t layer = 0; layer < layers_.size(); ++layer) {
    const TransformerBlock& block = *layers_[layer];
    if (recompute == Recompute::block && state == nullptr) {
      x = recomputed(block, layout, x.value());
    } else {
      block.forward(x, layout, state != nullptr ? &state->layers[layer] : nullptr);
    }
  }
  const Variable y = output(x);
  if (state != nullptr) state->length += y.size(0);
  return y;
}

Variable Stack::step(ResidualStream x, std::span<StackState* const> states) const {
  std::vector<int32_t> positions;
  for (const StackState* state : states) positions.push_back(static_cast<int32_t>(state->length));
  const Tensor rotary =
      ops::rotary_table(Tensor::from(positions), config_.head_dim(), config_.rotary_base, DType::f32);
  std::vector<KeyValueCache*> caches(states.size());
  for (size_t layer = 0; layer < layers_.size(); ++layer) {
    for (size_t b = 0; b < states.size(); ++b) caches[b] = &states[b]->layers[layer];
    layers_[layer]->step(x, rotary, caches);
  }
  for (StackState* state : states) ++state->length;
  return output(x);
}

}  // namespace dlcm::nn
