#include "nn/module.h"

#include <cmath>
#include <memory>

#include <doctest/doctest.h>

#include "tests/op_check.h"

using namespace dlcm;
using namespace dlcm::nn;
using dlcm::test::bit_equal;

namespace {

struct Layer : Module {
  Layer(Module& parent, std::string name)
      : Module(parent, std::move(name)),
        norm(*this, "norm", {40}, vector_role(1.0)),
        weight(*this, "weight", {30, 40}, matrix_role(Width::concepts, 0.5)) {}
  Parameter norm, weight;
};

struct Model : Module {
  Model()
      : embedding(*this, "embedding", {100, 40}, embedding_role()),
        first(*this, "layers/0"),
        boundary(*this, "boundary/q_proj", {3, 3}, boundary_role()),
        second(*this, "layers/1"),
        unembedding(*this, "unembedding", {100, 40}, unembedding_role()) {}
  Parameter embedding;
  Layer first;
  Parameter boundary;
  Layer second;
  Parameter unembedding;
};

double deviation(const Tensor& tensor) {
  double squares = 0;
  for (const float value : tensor.to_vector<float>()) squares += value * value;
  return std::sqrt(squares / static_cast<double>(tensor.numel()));
}

}  // namespace

TEST_CASE("module: paths in the order of creation, and what the roles say") {
  const Model model;
  std::vector<std::string> paths;
  for (const Parameter* parameter : model.parameters()) paths.push_back(parameter->path());
  CHECK(paths == std::vector<std::string>{"embedding", "layers/0/norm", "layers/0/weight", "boundary/q_proj",
                                          "layers/1/norm", "layers/1/weight", "unembedding"});
  CHECK(model.path().empty());
  CHECK(model.second.path() == "layers/1");
  const Role role = model.parameter("layers/1/weight").role();
  CHECK(role.kind == RoleKind::matrix);
  CHECK(role.fan_in == Width::concepts);
  CHECK(role.scale == 0.5);
  CHECK(&model.parameter("layers/1/weight") == &model.second.weight);
  CHECK_THROWS_WITH_AS(model.parameter("layers/2/weight"), "no parameter named layers/2/weight", Error);
}

TEST_CASE("module: a description allocates nothing; values come from initialize") {
  Model model;
  CHECK_FALSE(model.embedding.initialized());
  CHECK_THROWS_WITH_AS(model.embedding.variable(),
                       "parameter embedding has no value: call initialize() or load a checkpoint first",
                       Error);
  model.clear_gradients();  // nothing to clear yet
  model.initialize(1);
  for (const Parameter* parameter : model.parameters()) {
    CHECK(parameter->value().shape() == parameter->shape());
    CHECK(parameter->variable().requires_grad());
    CHECK_FALSE(parameter->grad().defined());
  }
}

TEST_CASE("module: initial values follow the roles") {
  Model model;
  model.initialize(1);
  CHECK(deviation(model.first.weight.value()) == doctest::Approx(0.5 / std::sqrt(40.0)).epsilon(0.1));
  CHECK(deviation(model.embedding.value()) == doctest::Approx(0.02).epsilon(0.1));
  CHECK(deviation(model.unembedding.value()) == 0);
  CHECK(model.first.norm.value().to_vector<float>() == std::vector<float>(40, 1));
  CHECK(model.boundary.value().to_vector<float>() == std::vector<float>{1, 0, 0, 0, 1, 0, 0, 0, 1});
}

TEST_CASE("module: initial values depend on seed and path, not on what else there is") {
  Model model, other;
  model.initialize(1);
  other.initialize(2);
  CHECK_FALSE(bit_equal(model.first.weight.value(), model.second.weight.value()));
  CHECK_FALSE(bit_equal(model.first.weight.value(), other.first.weight.value()));
  Module root;
  Layer second(root, "layers/1"), first(root, "layers/0");
  root.initialize(1);
  CHECK(bit_equal(first.weight.value(), model.first.weight.value()));
  CHECK(bit_equal(second.weight.value(), model.second.weight.value()));
  other.initialize(1, DType::f64);  // the same numbers, wider
  CHECK(bit_equal(other.first.weight.value(), model.first.weight.value().to(DType::f64)));
}

TEST_CASE("module: a value of another shape is refused by path; gradients are cleared") {
  Model model;
  CHECK_THROWS_WITH_AS(model.first.norm.set_value(Tensor::zeros({41})),
                       "parameter layers/0/norm has shape [40], the value given [41]", Error);
  model.initialize(1);
  model.first.norm.variable().slot()->grad = Tensor::zeros({40});
  CHECK(model.first.norm.grad().defined());
  model.clear_gradients();
  CHECK_FALSE(model.first.norm.grad().defined());
}

TEST_CASE("module: the operand of products is the value or, where it may be rounded, its rounding") {
  Model model;
  model.initialize(1);
  Parameter& weight = model.first.weight;
  CHECK(weight.operand_dtype() == DType::f32);
  CHECK(bit_equal(weight.operand().value(), weight.value()));
  model.round_operands(DType::bf16);
  for (const Parameter* parameter : model.parameters()) {
    CAPTURE(parameter->path());
    const bool rounded = parameter == &model.first.weight || parameter == &model.second.weight ||
                         parameter == &model.unembedding;
    CHECK(parameter->value().dtype() == DType::f32);
    CHECK(parameter->operand_dtype() == (rounded ? DType::bf16 : DType::f32));
    CHECK(bit_equal(parameter->operand().value(), parameter->value().to(parameter->operand_dtype())));
  }
  // Gradients of the operand arrive at the value's place.
  CHECK(weight.operand().slot() == weight.variable().slot());

  // After a change of the value it is rounded again, in place: who holds the operand sees it.
  const Tensor held = weight.operand().value();
  weight.value().fill(1 + 0x1p-9);
  model.round_operands(DType::bf16);
  CHECK(bit_equal(held, weight.value().to(DType::bf16)));
  model.round_operands(DType::f32);
  CHECK(weight.operand_dtype() == DType::f32);
  CHECK(bit_equal(weight.operand().value(), weight.value()));
  model.round_operands(DType::bf16);
  weight.set_value(Tensor::zeros({30, 40}));  // of another value nothing is rounded yet
  CHECK(weight.operand_dtype() == DType::f32);
}

TEST_CASE("module: packed, a matrix has no other value") {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    Model model;
    model.initialize(1);
    const Tensor value = model.first.weight.value();
    model.pack_operands(dtype);
    Parameter& weight = model.first.weight;
    CHECK(weight.packed().defined());
    CHECK(weight.packed().out() == 30);
    CHECK(weight.packed().in() == 40);
    CHECK(weight.operand_dtype() == dtype);
    CHECK_FALSE(weight.initialized());
    CHECK_THROWS_WITH_AS(weight.variable(),
                         "parameter layers/0/weight is packed for products and has no other value", Error);
    for (const Parameter* other : {&model.embedding, &model.boundary, &model.first.norm}) {
      CHECK_FALSE(other->packed().defined());
      CHECK(other->value().dtype() == DType::f32);
    }
    weight.set_value(value);
    CHECK_FALSE(weight.packed().defined());
    CHECK(weight.operand_dtype() == DType::f32);
  }
}
