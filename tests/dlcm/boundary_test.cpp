#include "dlcm/boundary.h"

#include <limits>

#include <doctest/doctest.h>

#include "apps/common/config.h"
#include "autograd/ops.h"
#include "autograd/tape.h"
#include "golden.h"

namespace dlcm {
namespace {

using test::Golden;

struct Holder : nn::Module {
  BoundaryPredictor boundary;
  explicit Holder(const ModelConfig& config) : boundary(*this, "boundary", config) {}
};

void check_boundary(const std::string& name, DType dtype, double tolerance) {
  const Golden golden("boundary.h5", name);
  const apps::Config config = apps::parse_config(golden.config(), name).config;
  Holder holder(config.model);
  golden.load(holder, dtype);
  const nn::Variable h(golden.tensor("inputs/h", dtype), true);
  const Tensor cu_seqlens = golden.tensor("inputs/cu_seqlens");
  autograd::Tape tape;
  nn::Variable p, weighted;
  {
    const autograd::Tape::Recording recording(tape);
    p = holder.boundary.probability(h, cu_seqlens);
    weighted = autograd::weighted_sum(p, golden.tensor("inputs/weight", dtype));
  }
  test::check_relative(p.value(), golden.tensor("expected/p"), tolerance, name + ": p");
  const Tensor decided = holder.boundary.decide(p.value(), cu_seqlens, {});
  test::check_relative(decided, golden.tensor("expected/evaluation_boundary"), 0, name + ": boundary");
  tape.backward(std::vector<autograd::Root>{{weighted, 1.0}});
  const Tensor dh = h.grad().defined() ? h.grad() : h.value().zeros_like();
  test::check_relative(dh, golden.tensor("gradients/h"), tolerance, name + ": gradient of h");
  golden.check_gradients(holder, tolerance);
}

TEST_CASE("boundary module equals the PyTorch reference") {
  for (const char* name : {"decoupled", "learned", "cosine", "fixed"}) {
    check_boundary(name, DType::f64, 2e-7);
    check_boundary(name, DType::f32, 2e-5);
  }
}

TEST_CASE("sharpened probabilities equal the reference") {
  const Golden golden("boundary.h5", "decoupled");
  const Tensor p = golden.tensor("expected/p", DType::f32);
  const std::vector<double> alphas = golden.tensor("inputs/alpha").to_vector<double>();
  for (size_t row = 0; row < alphas.size(); ++row) {
    Tensor found = p.clone();
    for (int64_t t = 0; t < p.numel(); ++t)
      found.data<float>()[t] = sharpened(p.data<float>()[t], alphas[row]);
    const auto index = static_cast<int64_t>(row);
    const Tensor expected = golden.tensor("expected/sharpened").slice(index, index + 1).view(p.shape());
    test::check_relative(found, expected, 2e-5, "sharpened");
  }
}

TEST_CASE("sampled boundaries have the sharpened rate, and depend on seed, sample and position alone") {
  ModelConfig config;
  Holder holder(config);
  const int64_t tokens = 20000;
  const Tensor p = Tensor::full({tokens}, 0.4);
  const Tensor one_document = Tensor::from<int32_t>({0, static_cast<int32_t>(tokens)});
  const BoundaryDraw draw = {Mode::train, 0.5, 3, Tensor::from<int64_t>({17})};
  const std::vector<uint8_t> b = holder.boundary.decide(p, one_document, draw).to_vector<uint8_t>();
  double rate = 0;
  for (const uint8_t begins : b) rate += begins;
  rate /= static_cast<double>(tokens);
  const double expected = sharpened(0.4f, 0.5);
  CHECK(rate == doctest::Approx(expected).epsilon(0.05));
  // The same sample as the second document of another batch draws the same.
  const Tensor two = Tensor::from<int32_t>({0, 5, static_cast<int32_t>(tokens)});
  const BoundaryDraw other = {Mode::train, 0.5, 3, Tensor::from<int64_t>({4, 17})};
  const std::vector<uint8_t> again = holder.boundary.decide(p, two, other).to_vector<uint8_t>();
  CHECK(std::equal(again.begin() + 5, again.end(), b.begin()));
  const BoundaryDraw elsewhere = {Mode::train, 0.5, 3, Tensor::from<int64_t>({18})};
  CHECK(holder.boundary.decide(p, one_document, elsewhere).to_vector<uint8_t>() != b);
  const BoundaryDraw seeded = {Mode::train, 0.5, 4, Tensor::from<int64_t>({17})};
  CHECK(holder.boundary.decide(p, one_document, seeded).to_vector<uint8_t>() != b);
}

TEST_CASE("a probability that is no number is an error that names its token") {
  const Holder holder(ModelConfig{});
  const Tensor p = Tensor::full({6}, 0.4);
  p.data<float>()[4] = std::numeric_limits<float>::quiet_NaN();
  const Tensor offsets = Tensor::from<int32_t>({0, 2, 6});
  const BoundaryDraw training = {Mode::train, 0.5, 3, Tensor::from<int64_t>({0, 1})};
  for (const BoundaryDraw& draw : {BoundaryDraw{}, training}) {
    CHECK_THROWS_WITH_AS(holder.boundary.decide(p, offsets, draw),
                         doctest::Contains("boundary probability of token 4 is not finite; "), Error);
  }
}

}  // namespace
}  // namespace dlcm
