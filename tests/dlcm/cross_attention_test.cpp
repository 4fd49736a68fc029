#include "dlcm/cross_attention.h"

#include <doctest/doctest.h>

#include "apps/common/config.h"
#include "autograd/tape.h"
#include "golden.h"

namespace dlcm {
namespace {

using test::Golden;

// The module is the root of its tree, as in the file.
struct Holder : nn::Module {
  CrossAttention cross;
  explicit Holder(const ModelConfig& config) : cross(*this, "", config) {}
};

void check_cross(const std::string& name, CrossImplementation implementation, DType dtype, double tolerance) {
  const Golden golden("cross_attention.h5", name);
  ModelConfig config = apps::parse_config(golden.config(), name).config.model;
  config.cross_attention.implementation = implementation;
  Holder holder(config);
  golden.load(holder, dtype);
  const nn::Variable h(golden.tensor("inputs/h", dtype), true);
  const nn::Variable z(golden.tensor("inputs/z", dtype), true);
  const Tensor cu_seqlens = golden.tensor("inputs/cu_seqlens");
  const Segmentation segmentation = segment(golden.tensor("inputs/b"), cu_seqlens);
  autograd::Tape tape;
  nn::Variable y;
  {
    const autograd::Tape::Recording recording(tape);
    y = holder.cross.forward(h, z, segmentation, cu_seqlens, nn::Variable()).value();
  }
  test::check_relative(y.value(), golden.tensor("expected/output"), tolerance, name + ": output");
  tape.backward({{y, golden.tensor("inputs/cotangent", dtype)}});
  test::check_relative(h.grad(), golden.tensor("gradients/h"), tolerance, name + ": gradient of h");
  test::check_relative(z.grad(), golden.tensor("gradients/z"), tolerance, name + ": gradient of z");
  golden.check_gradients(holder, tolerance);
}

TEST_CASE("all three implementations of cross-attention equal the PyTorch reference, forward and backward") {
  for (const char* name :
       {"completed_uniform", "completed_length_rope_ff", "containing_uniform_rope", "containing_length"}) {
    for (const CrossImplementation implementation :
         {CrossImplementation::dense, CrossImplementation::replicated, CrossImplementation::segment}) {
      CAPTURE(static_cast<int>(implementation));
      check_cross(name, implementation, DType::f64, 2e-7);
      check_cross(name, implementation, DType::f32, 2e-5);
    }
  }
}

}  // namespace
}  // namespace dlcm
