#include "dlcm/language_model.h"

#include <doctest/doctest.h>

#include "autograd/grad_check.h"
#include "autograd/tape.h"
#include "dlcm/training_pass.h"
#include "optim/adamw.h"
#include "tensor/ops/elementwise.h"
#include "tests/dlcm/small_model.h"

namespace dlcm {
namespace {

PackedBatch small_batch() {
  return test::packed(test::random_documents({9, 1, 6}, 29, 3));
}

ModelConfig untied(ModelConfig config) {
  config.tied_embeddings = false;
  return config;
}

// A model with matrices of its own for both uses, and the values of a tied one.
std::unique_ptr<LanguageModel> untied_twin(const LanguageModel& tied) {
  std::unique_ptr<LanguageModel> twin = make_model(untied(tied.config()));
  for (nn::Parameter* parameter : twin->parameters()) {
    const std::string path = parameter->path() == "unembedding" ? "embedding" : parameter->path();
    parameter->set_value(tied.parameter(path).value());
  }
  return twin;
}

Tensor logits_of(const LanguageModel& model) {
  const autograd::NoGrad no_grad;
  return model.logits(model.forward(small_batch(), {}).hidden.value());
}

TEST_CASE("tied embeddings: one matrix for both uses, whose gradients add up") {
  for (const ModelKind kind : {ModelKind::dlcm, ModelKind::transformer}) {
    for (const DType dtype : {DType::f64, DType::bf16}) {
      CAPTURE(static_cast<int>(kind));
      CAPTURE(dtype);
      const auto tied = test::random_model(test::uncommon_config(kind), 4, dtype);
      const auto twin = untied_twin(*tied);
      twin->round_operands(dtype);
      CHECK(tied->parameters().size() + 1 == twin->parameters().size());
      CHECK(test::bit_equal(logits_of(*tied), logits_of(*twin)));
      for (int pass = 0; pass < 2; ++pass) {  // the second adds to what is there
        accumulate_gradients(*tied, {small_batch(), small_batch()}, {});
        accumulate_gradients(*twin, {small_batch(), small_batch()}, {});
      }
      const Tensor both =
          ops::add(twin->parameter("embedding").grad(), twin->parameter("unembedding").grad());
      CHECK_CLOSE(tied->parameter("embedding").grad(), both, 1e-5);
      for (const nn::Parameter* parameter : tied->parameters()) {
        if (parameter->path() == "embedding") continue;
        CAPTURE(parameter->path());
        CHECK(parameter->grad().defined() == twin->parameter(parameter->path()).grad().defined());
        if (!parameter->grad().defined()) continue;
        CHECK(test::bit_equal(parameter->grad(), twin->parameter(parameter->path()).grad()));
      }
    }
  }
}

TEST_CASE("tied embeddings: operands and packed weights follow the values") {
  const ModelConfig config = test::uncommon_config(ModelKind::transformer);
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const auto model = test::random_model(config, 4, dtype);
    optim::AdamW optimizer(model->parameters(), {}, {});
    accumulate_gradients(*model, {small_batch()}, {});
    const Tensor before = model->parameter("embedding").value().clone();
    optimizer.step(1, 1.0, 1.0);
    CHECK_FALSE(test::bit_equal(before, model->parameter("embedding").value()));
    const Tensor changed = logits_of(*model);
    model->round_operands(dtype);  // anew: nothing to change
    CHECK(test::bit_equal(logits_of(*model), changed));
    model->pack_operands(dtype);
    CHECK(test::bit_equal(logits_of(*model), changed));
  }
}

TEST_CASE("tied embeddings: they start as an embedding and take its rate") {
  const auto model = make_model(test::uncommon_config(ModelKind::transformer));
  const auto twin = make_model(untied(model->config()));
  model->initialize(1);
  twin->initialize(1);
  CHECK(test::bit_equal(model->parameter("embedding").value(), twin->parameter("embedding").value()));
  const optim::GroupRates rates = optim::group_rates(nn::tied_role(), {}, {4.0, 8.0});
  const optim::GroupRates expected = optim::group_rates(nn::embedding_role(), {}, {4.0, 8.0});
  CHECK(rates.rate == expected.rate);
  CHECK(rates.decay_rate == expected.decay_rate);
  CHECK(rates.epsilon == expected.epsilon);
}

TEST_CASE("gradient check: own head width, rotary base, epsilon, tied embeddings" *
          doctest::test_suite("numerics")) {
  for (const ModelKind kind : {ModelKind::dlcm, ModelKind::transformer}) {
    const auto model = test::random_model(test::uncommon_config(kind), 6, DType::f64);
    const PackedBatch batch = small_batch();
    ForwardOptions options;
    options.mode = Mode::train;
    options.boundary = Tensor::from<uint8_t>({1, 0, 1, 0, 0, 1, 0, 0, 1, 1, 1, 0, 0, 1, 0, 0});
    std::vector<nn::Variable> leaves;
    for (const nn::Parameter* parameter : model->parameters()) leaves.push_back(parameter->variable());
    autograd::GradCheckOptions check;
    check.max_elements = 5;
    check.step = 1e-5;
    const autograd::GradCheckResult result = autograd::grad_check_leaves(
        [&] {
          return std::vector<nn::Variable>{model->loss(model->forward(batch, options).hidden, batch.targets)};
        },
        leaves, check);
    CHECK_MESSAGE(result.passed, result.message);
  }
}

TEST_CASE("rotary base and epsilon change the logits") {
  for (const ModelKind kind : {ModelKind::dlcm, ModelKind::transformer}) {
    const ModelConfig config = test::uncommon_config(kind);
    const Tensor logits = logits_of(*test::random_model(config, 4));
    ModelConfig base = config;
    base.rope_base = 10000;
    ModelConfig epsilon = config;
    epsilon.norm_epsilon = 1e-6;
    for (const ModelConfig& other : {base, epsilon}) {
      CHECK_FALSE(test::bit_equal(logits_of(*test::random_model(other, 4)), logits));
    }
  }
}

}  // namespace
}  // namespace dlcm
