#include "dlcm/transformer.h"

#include "autograd/tape.h"

namespace dlcm {

Transformer::Transformer(const ModelConfig& config)
    : LanguageModel(config),
      decoder_(*this, "decoder", block_config(config, config.token, config.layers, nn::Width::token),
               nn::FinalNorm::yes) {
  create_unembedding();
}

ForwardOutput Transformer::forward(const PackedBatch& batch, const ForwardOptions& options,
                                   SequenceState* state) const {
  const nn::Variable x = embedded(batch.tokens);
  const nn::SequenceLayout layout = decoder_.layout_for(batch.cu_seqlens, x.dtype());
  ForwardOutput output;
  output.hidden =
      decoder_.forward(x, layout, options.recompute,
                       state != nullptr ? &static_cast<TransformerState*>(state)->decoder : nullptr);
  return output;
}

std::unique_ptr<SequenceState> Transformer::new_state() const {
  auto state = std::make_unique<TransformerState>();
  state->decoder = decoder_.new_state();
  return state;
}

StepOutput Transformer::step(std::span<const int32_t> tokens, std::span<SequenceState* const> states) const {
  const autograd::NoGrad no_grad;
  std::vector<nn::StackState*> stacks;
  for (SequenceState* state : states) stacks.push_back(&static_cast<TransformerState*>(state)->decoder);
  const nn::Variable x = embedded(Tensor::from(std::vector<int32_t>(tokens.begin(), tokens.end())));
  StepOutput output;
  output.hidden = decoder_.step(x, stacks).value();
  return output;
}

}  // namespace dlcm
