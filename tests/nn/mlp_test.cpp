#include "nn/mlp.h"

#include <cmath>

#include <doctest/doctest.h>

#include "dlcm/language_model.h"
#include "tests/op_check.h"

namespace dlcm {
namespace {

double rms(const Tensor& values) {
  double squares = 0;
  for (int64_t i = 0; i < values.numel(); ++i)
    squares += std::pow(static_cast<double>(values.data<float>()[i]), 2);
  return std::sqrt(squares / static_cast<double>(values.numel()));
}

// Section 10: 1 / sqrt(fan-in), and what a block adds to the residual stream times 1 / sqrt(2 blocks).
TEST_CASE("initial values of a stack's matrices") {
  ModelConfig config;
  config.kind = ModelKind::transformer;
  config.layers = 8;
  config.token = {128, 4, 2, 256};
  config.mup.enabled = false;
  const auto model = make_model(config);
  model->initialize(1);
  int into_the_stream = 0, others = 0;
  for (const nn::Parameter* parameter : model->parameters()) {
    if (parameter->role().kind != nn::RoleKind::matrix) continue;
    CAPTURE(parameter->path());
    const double deviation = rms(parameter->value()) * std::sqrt(static_cast<double>(parameter->shape()[1]));
    const bool adds = parameter->path().ends_with("down_proj") || parameter->path().ends_with("o_proj");
    CHECK(deviation == doctest::Approx(adds ? 1 / std::sqrt(16.0) : 1.0).epsilon(0.03));
    ++(adds ? into_the_stream : others);
  }
  CHECK(into_the_stream == 16);
  CHECK(others == 40);
}

TEST_CASE("mlp: packed weights give the bits of the weights themselves") {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    nn::Module whole_root, packed_root;
    const nn::BlockConfig config = {.width = 24, .heads = 2, .kv_heads = 1, .ff = 40};
    const nn::Mlp whole(whole_root, "mlp", config), packed(packed_root, "mlp", config);
    whole_root.initialize(3);
    packed_root.initialize(3);
    whole_root.round_operands(dtype);
    packed_root.pack_operands(dtype);
    for (const int64_t rows : {1, 5, 70}) {
      const nn::Variable x(test::random_tensor({rows, 24}, DType::f32, 4));
      CHECK(test::bit_equal(packed.forward(x).value(), whole.forward(x).value()));
    }
  }
}

}  // namespace
}  // namespace dlcm
