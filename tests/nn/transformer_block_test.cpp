#include "nn/transformer_block.h"

#include <doctest/doctest.h>

#include "apps/common/config.h"
#include "autograd/tape.h"
#include "golden.h"

namespace dlcm {
namespace {

using test::Golden;

struct Root : nn::Module {};

nn::BlockConfig block_of(const Golden& golden) {
  const Tensor q = golden.tensor("parameters/attention/q_proj");
  const Tensor k = golden.tensor("parameters/attention/k_proj");
  const int64_t head_dim = golden.tensor("parameters/attention/q_norm").numel();
  return {q.size(1),
          q.size(0) / head_dim,
          k.size(0) / head_dim,
          golden.tensor("parameters/mlp/gate_proj").size(0),
          nn::Width::token,
          1};
}

void check_block(const std::string& name, DType dtype, double tolerance) {
  const Golden golden("block.h5", name);
  // The block is the root of its tree, as in the file.
  struct Holder : nn::Module {
    nn::TransformerBlock block;
    explicit Holder(const nn::BlockConfig& config) : block(*this, "", config) {}
  } holder(block_of(golden));
  golden.load(holder, dtype);
  const nn::Variable x(golden.tensor("inputs/x", dtype), true);
  const nn::SequenceLayout layout =
      nn::make_layout(golden.tensor("inputs/cu_seqlens"), block_of(golden).head_dim(), dtype);
  autograd::Tape tape;
  nn::Variable y;
  {
    const autograd::Tape::Recording recording(tape);
    nn::ResidualStream stream(x);
    holder.block.forward(stream, layout);
    y = stream.value();
  }
  test::check_relative(y.value(), golden.tensor("expected/output"), tolerance, name + ": output");
  tape.backward({{y, golden.tensor("inputs/cotangent", dtype)}});
  test::check_relative(x.grad(), golden.tensor("gradients/x"), tolerance, name + ": gradient of x");
  golden.check_gradients(holder, tolerance);
}

TEST_CASE("transformer block equals the PyTorch reference") {
  for (const char* name : {"gqa", "one_kv_head_each"}) {
    check_block(name, DType::f64, 2e-7);  // the file holds float32
    check_block(name, DType::f32, 2e-5);
  }
}

}  // namespace
}  // namespace dlcm
