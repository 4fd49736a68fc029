#include "nn/stack.h"

#include "autograd/checkpoint.h"
#include "autograd/ops.h"
#include "tensor/ops/rotary.h"

namespace dlcm::nn {

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
  return make_layout(cu_seqlens, config_.head_dim(), dtype);
}

Variable Stack::normalized(const Variable& x) const {
  return norm_ ? autograd::rms_norm(x, norm_->variable(), kNormEpsilon) : x;
}

Variable Stack::forward(const Variable& x, const SequenceLayout& layout, Recompute recompute,
                        StackState* state) const {
  Variable y = x;
  for (size_t layer = 0; layer < layers_.size(); ++layer) {
    const TransformerBlock& block = *layers_[layer];
    if (recompute == Recompute::block && state == nullptr) {
      y = autograd::checkpoint(
              [&block, layout](const std::vector<Variable>& inputs) {
                return std::vector<Variable>{block.forward(inputs.front(), layout)};
              },
              {y})
              .front();
    } else {
      y = block.forward(y, layout, state != nullptr ? &state->layers[layer] : nullptr);
    }
  }
  if (state != nullptr) state->length += x.size(0);
  return normalized(y);
}

Variable Stack::step(const Variable& x, std::span<StackState* const> states) const {
  std::vector<int32_t> positions;
  for (const StackState* state : states) positions.push_back(static_cast<int32_t>(state->length));
  const Tensor rotary =
      ops::rotary_table(Tensor::from(positions), config_.head_dim(), kRotaryBase, x.dtype());
  Variable y = x;
  std::vector<KeyValueCache*> caches(states.size());
  for (size_t layer = 0; layer < layers_.size(); ++layer) {
    for (size_t b = 0; b < states.size(); ++b) caches[b] = &states[b]->layers[layer];
    y = layers_[layer]->step(y, rotary, caches);
  }
  for (StackState* state : states) ++state->length;
  return normalized(y);
}

}  // namespace dlcm::nn
