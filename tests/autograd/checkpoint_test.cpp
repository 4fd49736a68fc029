#include "autograd/checkpoint.h"

#include <cmath>

#include <doctest/doctest.h>

#include "autograd/ops.h"
#include "tests/op_check.h"

using namespace dlcm;
using namespace dlcm::autograd;
using dlcm::test::bit_equal;
using dlcm::test::random_tensor;

namespace {

enum class Mode { plain, checkpointed };

struct Network {
  Variable weight{random_tensor({6, 6}, DType::f32, 1), true};
  Variable gain{random_tensor({6}, DType::f32, 2), true};

  std::vector<Variable> block(const std::vector<Variable>& in) const {
    const Variable hidden = linear(rms_norm(in[0], gain, 1e-6), weight);
    return {add(in[0], multiply(hidden, hidden)), softmax(hidden)};
  }
};

struct Pass {
  std::vector<Tensor> results;  // the value, then the gradients of x, weight and gain
  int64_t saved_bytes = 0;
};

Pass run(Mode mode, int depth, const Network& network) {
  const Variable x(random_tensor({5, 6}, DType::f32, 3), true);
  for (const Variable& parameter : {network.weight, network.gain}) parameter.slot()->grad = Tensor();
  const Block block = [&](const auto& in) { return network.block(in); };
  Tape tape;
  Variable loss;
  {
    const Tape::Recording recording(tape);
    Variable h = x;
    for (int i = 0; i < depth; ++i) {
      const auto out = mode == Mode::plain ? block({h}) : checkpoint(block, {h});
      h = add(out[0], out[1]);
    }
    loss = sum(multiply(h, h));
  }
  Pass pass;
  pass.saved_bytes = tape.saved_bytes();
  tape.backward({{loss, 1.0}});
  pass.results = {loss.value(), x.grad(), network.weight.grad(), network.gain.grad()};
  return pass;
}

}  // namespace

TEST_CASE("checkpoint: the same value and gradients, captured parameters included, from fewer saved bytes") {
  const Network network;
  const Pass plain = run(Mode::plain, 3, network), less = run(Mode::checkpointed, 3, network);
  for (size_t i = 0; i < plain.results.size(); ++i) {
    CAPTURE(i);
    CHECK(less.results[i].defined());
    CHECK_CLOSE(less.results[i], plain.results[i], 1e-6);
  }
  CHECK(less.saved_bytes < plain.saved_bytes / 2);
}

TEST_CASE("checkpoint inside checkpoint") {
  const Variable x(random_tensor({4}, DType::f64, 4), true);
  int runs = 0;
  const Block inner = [&](const std::vector<Variable>& in) {
    ++runs;
    return std::vector{multiply(in[0], in[0])};
  };
  const Block outer = [&](const std::vector<Variable>& in) {
    return checkpoint(inner, {checkpoint(inner, in)[0]});
  };
  Tape tape;
  Variable loss;
  {
    const Tape::Recording recording(tape);
    loss = sum(checkpoint(outer, {x})[0]);
  }
  CHECK(runs == 2);
  CHECK(tape.size() == 2);
  tape.backward({{loss, 1.0}});
  CHECK(runs == 6);  // once more in the outer block's second run, once more for the inner blocks' own
  for (int64_t i = 0; i < 4; ++i) {
    CHECK(x.grad().data<double>()[i] == doctest::Approx(4 * std::pow(x.value().data<double>()[i], 3)));
  }
}

TEST_CASE("checkpoint: inputs without gradients, unused outputs, and no tape") {
  const Variable weight(Tensor::from<double>({2, 3}), true);
  const Variable data(Tensor::from<double>({5, 7}));
  const Block block = [&](const std::vector<Variable>& in) {
    return std::vector{multiply(in[0], weight), scale(weight, 100)};
  };
  CHECK_FALSE(checkpoint(block, {data})[0].requires_grad());
  Tape tape;
  Variable loss;
  {
    const Tape::Recording recording(tape);
    loss = sum(checkpoint(block, {data})[0]);
  }
  tape.backward({{loss, 1.0}});
  CHECK(weight.grad().to_vector<double>() == std::vector<double>{5, 7});
  CHECK_FALSE(data.grad().defined());
}

TEST_CASE("checkpoint passes the gradient check") {
  const Block block = [](const std::vector<Variable>& in) {
    return std::vector{softmax(multiply(in[0], in[1])), add(in[0], in[1])};
  };
  const auto result = grad_check([&](const auto& in) { return checkpoint(block, in); },
                                 {random_tensor({3, 4}, DType::f64, 5), random_tensor({4}, DType::f64, 6)});
  CHECK_MESSAGE(result.passed, result.message);
}
