#include "optim/adamw.h"

#include <cmath>

#include <doctest/doctest.h>

#include "op_check.h"

namespace dlcm::optim {
namespace {

struct Model : nn::Module {
  nn::Parameter matrix{*this, "matrix", {3, 5}, nn::matrix_role(nn::Width::concepts)};
  nn::Parameter boundary{*this, "boundary", {4, 4}, nn::boundary_role()};
  nn::Parameter table{*this, "table", {7, 4}, nn::embedding_role()};
  nn::Parameter gain{*this, "gain", {6}, nn::vector_role(1.0)};
};

AdamWConfig config_of() {
  AdamWConfig config;
  config.rate_token = 1e-2;
  config.rate_concept = 2e-2;
  config.rate_other = 3e-2;
  config.rate_boundary = 4e-2;
  config.weight_decay = 0.5;
  config.epsilon = 1e-3;
  return config;
}

TEST_CASE("groups follow the roles: rates and epsilon over s, rate x decay independent of width") {
  const AdamWConfig config = config_of();
  const WidthMultipliers s = {2.0, 4.0};
  const GroupRates concepts = group_rates(nn::matrix_role(nn::Width::concepts), config, s);
  CHECK(concepts.rate == doctest::Approx(2e-2 / 4));
  CHECK(concepts.epsilon == doctest::Approx(1e-3 / 4));
  CHECK(concepts.decay_rate == doctest::Approx(2e-2 * 0.5));
  const GroupRates boundary = group_rates(nn::boundary_role(), config, s);
  CHECK(boundary.rate == doctest::Approx(4e-2 / 2));
  CHECK(boundary.epsilon == doctest::Approx(1e-3 / 2));
  const GroupRates table = group_rates(nn::embedding_role(), config, s);
  CHECK(table.rate == doctest::Approx(3e-2));
  CHECK(table.epsilon == doctest::Approx(1e-3));
  CHECK(table.decay_rate == doctest::Approx(3e-2 * 0.5));
  CHECK(group_rates(nn::vector_role(1), config, s).decay_rate == 0.0);
}

TEST_CASE("updates equal a float64 loop over the formula") {
  Model model;
  model.initialize(5, DType::f64);
  const AdamWConfig config = config_of();
  const WidthMultipliers s = {2.0, 4.0};
  AdamW adamw(model.parameters(), config, s);
  struct Plain {
    std::vector<double> w, m, v;
  };
  std::vector<Plain> plain;
  for (const nn::Parameter* parameter : model.parameters()) {
    const std::vector<double> w = parameter->value().to_vector<double>();
    plain.push_back({w, std::vector<double>(w.size()), std::vector<double>(w.size())});
  }
  const double factor = 0.7, scale = 0.25;
  for (int step = 1; step <= 5; ++step) {
    for (size_t i = 0; i < plain.size(); ++i) {
      nn::Parameter& parameter = *model.parameters()[i];
      const Tensor gradient =
          test::random_tensor(parameter.shape(), DType::f64, static_cast<uint64_t>(step) * 10 + i);
      parameter.variable().slot()->grad = gradient;
      const GroupRates rates = group_rates(parameter.role(), config, s);
      for (size_t j = 0; j < plain[i].w.size(); ++j) {
        const double g = scale * gradient.data<double>()[j];
        Plain& p = plain[i];
        p.m[j] = 0.9 * p.m[j] + 0.1 * g;
        p.v[j] = 0.95 * p.v[j] + 0.05 * g * g;
        const double mhat = p.m[j] / (1 - std::pow(0.9, step));
        const double vhat = p.v[j] / (1 - std::pow(0.95, step));
        p.w[j] -=
            factor * (rates.rate * mhat / (std::sqrt(vhat) + rates.epsilon) + rates.decay_rate * p.w[j]);
      }
    }
    adamw.step(step, factor, scale);
  }
  for (size_t i = 0; i < plain.size(); ++i) {
    const nn::Parameter& parameter = *model.parameters()[i];
    CHECK_CLOSE(parameter.value(), Tensor::from(parameter.shape(), plain[i].w), 1e-12);
    CHECK_CLOSE(adamw.moments()[i].v, Tensor::from(parameter.shape(), plain[i].v), 1e-12);
  }
}

// Every kind of parameter, and sizes whose ranges begin and end within one.
TEST_CASE("the operands of products follow their weights") {
  struct Large : nn::Module {
    nn::Parameter first{*this, "first", {123, 77}, nn::matrix_role(nn::Width::token)};
    nn::Parameter gain{*this, "gain", {6}, nn::vector_role(1.0)};
    nn::Parameter boundary{*this, "boundary", {4, 4}, nn::boundary_role()};
    nn::Parameter idle{*this, "idle", {3, 5}, nn::matrix_role(nn::Width::token)};  // no gradient arrives
    nn::Parameter second{*this, "second", {301, 40}, nn::unembedding_role()};
  };
  Large rounded, exact;
  for (Large* model : {&rounded, &exact}) model->initialize(5);
  rounded.round_operands(DType::bf16);
  AdamW adamw(rounded.parameters(), config_of(), {2.0, 4.0});
  AdamW expected(exact.parameters(), config_of(), {2.0, 4.0});
  for (int step = 1; step <= 3; ++step) {
    for (Large* model : {&rounded, &exact}) {
      for (nn::Parameter* parameter : {&model->first, &model->gain, &model->boundary, &model->second}) {
        parameter->variable().slot()->grad =
            test::random_tensor(parameter->shape(), DType::f32, static_cast<uint64_t>(step));
      }
    }
    adamw.step(step, 0.7, 0.5);
    expected.step(step, 0.7, 0.5);
    for (size_t i = 0; i < exact.parameters().size(); ++i) {
      const nn::Parameter& parameter = *rounded.parameters()[i];
      CAPTURE(parameter.path());
      CHECK(test::bit_equal(parameter.value(), exact.parameters()[i]->value()));  // the update is float32
      CHECK(test::bit_equal(parameter.operand().value(), parameter.value().to(parameter.operand_dtype())));
    }
    CHECK(rounded.second.operand_dtype() == DType::bf16);
    CHECK(rounded.boundary.operand_dtype() == DType::f32);
  }
}

TEST_CASE("clipping") {
  CHECK(clip_scale(4.0, 1.0) == doctest::Approx(0.25));
  CHECK(clip_scale(0.5, 1.0) == 1.0);
  Model model;
  model.initialize(1);
  CHECK(global_gradient_norm(model.parameters()) == 0.0);
  model.gain.variable().slot()->grad = Tensor::full({6}, 2.0);
  model.matrix.variable().slot()->grad = Tensor::full({3, 5}, 1.0);
  CHECK(global_gradient_norm(model.parameters()) == doctest::Approx(std::sqrt(6 * 4.0 + 15.0)));
}

}  // namespace
}  // namespace dlcm::optim
