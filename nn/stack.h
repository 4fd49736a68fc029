// A stack of transformer blocks, with a final RMSNorm or without, and the state with which it runs token by
// token.
#pragma once

#include <memory>
#include <vector>

#include "nn/transformer_block.h"

namespace dlcm::nn {

enum class FinalNorm { no, yes };
// Activation checkpointing: keep everything for backward, or only each block's input.
enum class Recompute { none, block };

// Of one sequence: the caches of every layer.
struct StackState {
  std::vector<KeyValueCache> layers;
  int64_t length = 0;  // rows seen so far: the next row's position
};

// Forgets all rows from `length` on.
void truncate(StackState& state, int64_t length);

class Stack : public Module {
 public:
  Stack(Module& parent, const std::string& name, const BlockConfig& config, FinalNorm final_norm);

  StackState new_state() const;
  // x [T, width] of a packed batch laid out by `layout_for(cu_seqlens)`. Where `state` is given (a batch of
  // one document, a new state), it is filled as if the rows had come one by one.
  Variable forward(ResidualStream x, const SequenceLayout& layout, Recompute recompute,
                   StackState* state = nullptr) const;
  // One row for each of B sequences: x [B, width]; row b extends states[b].
  Variable step(ResidualStream x, std::span<StackState* const> states) const;

  SequenceLayout layout_for(const Tensor& cu_seqlens, DType dtype) const;
  const BlockConfig& config() const { return config_; }

 private:
  Variable output(ResidualStream& x) const;

  BlockConfig config_;
  std::vector<std::unique_ptr<TransformerBlock>> layers_;
  std::unique_ptr<Parameter> norm_;  // null without a final norm
};

}  // namespace dlcm::nn
