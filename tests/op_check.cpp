#include "tests/op_check.h"

#include <cmath>
#include <cstring>
#include <limits>

#include <doctest/doctest.h>

#include "autograd/tape.h"
#include "tensor/dispatch.h"
#include "tensor/parallel.h"
#include "tensor/random.h"

namespace dlcm::test {
namespace {

using autograd::Variable;

// Sets the number of threads while it lives.
class Threads {
 public:
  explicit Threads(int count) : before_(thread_count()) { set_thread_count(count); }
  ~Threads() { set_thread_count(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_;
};

std::vector<Tensor> converted(const std::vector<Tensor>& tensors, DType dtype) {
  std::vector<Tensor> result;
  for (const Tensor& tensor : tensors) result.push_back(tensor.to(dtype));
  return result;
}

std::vector<Tensor> moved(const std::vector<Tensor>& tensors, Device device) {
  std::vector<Tensor> result;
  for (const Tensor& tensor : tensors) result.push_back(tensor.to(device));
  return result;
}

// The same values in the middle of a larger tensor full of NaN, off any alignment.
Tensor in_the_middle(const Tensor& tensor) {
  constexpr int64_t kMargin = 3;
  const Tensor whole =
      Tensor::full({tensor.numel() + 2 * kMargin}, std::numeric_limits<double>::quiet_NaN(), tensor.dtype());
  const Tensor view = whole.slice(kMargin, kMargin + tensor.numel()).view(tensor.shape());
  view.copy_from(tensor);
  return view;
}

void check_close(const std::string& what, const std::vector<Tensor>& found,
                 const std::vector<Tensor>& expected, double tolerance) {
  REQUIRE_MESSAGE(found.size() == expected.size(), what, ": ", found.size(), " tensors, expected ",
                  expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    const Comparison comparison = compare(found[i], expected[i], tolerance);
    CHECK_MESSAGE(comparison.passed, what, " ", i, ": ", comparison.message);
  }
}

void check_bits(const std::string& what, const std::vector<Tensor>& found,
                const std::vector<Tensor>& expected) {
  REQUIRE(found.size() == expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    CHECK_MESSAGE(bit_equal(found[i], expected[i]), what, " ", i, ": other bits; ",
                  compare(found[i], expected[i], 0).message);
  }
}

// Gradients of the inputs for outputs weighted with fixed random numbers.
std::vector<Tensor> gradients_of(const autograd::Function& function, const std::vector<Tensor>& inputs) {
  std::vector<Variable> leaves;
  for (const Tensor& input : inputs) leaves.emplace_back(input, true);
  autograd::Tape tape;
  std::vector<std::pair<Variable, Tensor>> roots;
  {
    const autograd::Tape::Recording recording(tape);
    for (const Variable& output : function(leaves)) {
      const Tensor seed = random_tensor(output.shape(), output.slot()->dtype, 100 + roots.size());
      roots.emplace_back(output, seed.to(output.value().device()));
    }
  }
  tape.backward(roots);
  std::vector<Tensor> gradients;
  for (const Variable& leaf : leaves) {
    gradients.push_back(leaf.grad().defined() ? leaf.grad() : leaf.value().zeros_like());
  }
  return gradients;
}

void check_values(const OperatorCase& operator_case) {
  const std::vector<Tensor> expected = operator_case.reference(operator_case.inputs);
  check_close("f64 output", operator_case.run(operator_case.inputs), expected, operator_case.tolerance_f64);
  const std::vector<Tensor> inputs = converted(operator_case.inputs, DType::f32);
  // The reference sees the rounded inputs: the tolerance is for the operator's arithmetic alone.
  const std::vector<Tensor> expected_f32 = operator_case.reference(converted(inputs, DType::f64));
  const std::vector<Tensor> outputs = operator_case.run(inputs);
  check_close("f32 output", outputs, expected_f32, operator_case.tolerance_f32);
  for (const Tensor& output : outputs) CHECK(output.dtype() == DType::f32);
}

void check_views(const OperatorCase& operator_case) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const std::vector<Tensor> inputs = converted(operator_case.inputs, dtype);
    std::vector<Tensor> views;
    for (const Tensor& input : inputs) views.push_back(in_the_middle(input));
    check_bits("output from views", operator_case.run(views), operator_case.run(inputs));
    if (operator_case.differentiable) {
      check_bits("gradient from views", gradients_of(operator_case.differentiable, views),
                 gradients_of(operator_case.differentiable, inputs));
    }
    check_bits("input after the run", views, inputs);
  }
}

void check_threads(const OperatorCase& operator_case) {
  const std::vector<Tensor> inputs = converted(operator_case.inputs, DType::f32);
  std::vector<Tensor> outputs, gradients;
  for (const int count : {1, 2, 3}) {
    const Threads threads(count);
    const std::vector<Tensor> now = operator_case.run(inputs);
    const std::vector<Tensor> gradients_now = operator_case.differentiable
                                                  ? gradients_of(operator_case.differentiable, inputs)
                                                  : std::vector<Tensor>{};
    if (count == 1) {
      outputs = now;
      gradients = gradients_now;
    }
    check_bits(concat("output with ", count, " threads"), now, outputs);
    check_bits(concat("gradient with ", count, " threads"), gradients_now, gradients);
  }
}

void check_gradients(const OperatorCase& operator_case) {
  const autograd::GradCheckResult result =
      autograd::grad_check(operator_case.differentiable, operator_case.inputs, operator_case.gradients);
  CHECK_MESSAGE(result.passed, "gradient: ", result.message);
  const std::vector<Tensor> inputs = converted(operator_case.inputs, DType::f32);
  check_close("f32 gradient", gradients_of(operator_case.differentiable, inputs),
              gradients_of(operator_case.differentiable, converted(inputs, DType::f64)),
              10 * operator_case.tolerance_f32);
}

void check_cuda(const OperatorCase& operator_case) {
  const std::vector<Tensor> inputs = converted(operator_case.inputs, DType::f32);
  const std::vector<Tensor> on_device = moved(inputs, Device::cuda(0));
  check_close("CUDA output", moved(operator_case.run(on_device), Device::cpu()), operator_case.run(inputs),
              operator_case.tolerance_f32);
  if (!operator_case.differentiable) return;
  check_close("CUDA gradient", moved(gradients_of(operator_case.differentiable, on_device), Device::cpu()),
              gradients_of(operator_case.differentiable, inputs), 10 * operator_case.tolerance_f32);
}

std::string index_of(int64_t flat, const Shape& shape) {
  std::vector<int64_t> index(static_cast<size_t>(shape.rank()));
  for (int64_t axis = shape.rank(); axis-- > 0; flat /= shape[axis]) {
    index[static_cast<size_t>(axis)] = flat % shape[axis];
  }
  return Shape(std::move(index)).to_string();
}

// |found - expected| in units of what is allowed: above 1 fails.
double share_of(double found, double expected, double tolerance) {
  if (found == expected) return 0;
  const double share = std::abs(found - expected) / (tolerance * std::max(1.0, std::abs(expected)));
  return std::isfinite(found) && std::isfinite(expected) ? share : std::numeric_limits<double>::infinity();
}

}  // namespace

Tensor random_tensor(Shape shape, DType dtype, uint64_t seed, double scale) {
  const Tensor values = Tensor::empty(std::move(shape), DType::f64);
  for (int64_t i = 0; i < values.numel(); ++i) {
    values.data<double>()[i] = scale * random_normal(seed, RandomStream::tests, 0, static_cast<uint64_t>(i));
  }
  return values.to(dtype);
}

Comparison compare(const Tensor& found, const Tensor& expected, double tolerance) {
  if (!(found.shape() == expected.shape())) {
    return {false, concat("shape ", found.shape(), ", expected ", expected.shape())};
  }
  const Tensor left = found.to(Device::cpu()).to(DType::f64);
  const Tensor right = expected.to(Device::cpu()).to(DType::f64);
  double worst = -1;
  int64_t worst_index = 0;
  for (int64_t i = 0; i < left.numel(); ++i) {
    const double share = share_of(left.data<double>()[i], right.data<double>()[i], tolerance);
    if (share <= worst) continue;
    worst = share;
    worst_index = i;
  }
  if (left.numel() == 0) return {true, "no elements"};
  std::ostringstream message;
  message.precision(17);
  message << "element " << index_of(worst_index, left.shape()) << " of " << left.shape() << ": found "
          << left.data<double>()[worst_index] << ", expected " << right.data<double>()[worst_index] << ", "
          << worst << " of the tolerance " << tolerance;
  return {worst <= 1, message.str()};
}

bool bit_equal(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || !(a.shape() == b.shape())) return false;
  const Tensor left = a.to(Device::cpu());
  const Tensor right = b.to(Device::cpu());
  return left.bytes() == 0 || std::memcmp(left.raw_data(), right.raw_data(), left.bytes()) == 0;
}

void check_operator(const OperatorCase& operator_case) {
  INFO("operator ", operator_case.name);
  const Threads one(1);  // quick on a busy machine too: many small calls would wait for each other's threads
  check_values(operator_case);
  check_views(operator_case);
  check_threads(operator_case);
  if (operator_case.differentiable) check_gradients(operator_case);
  if (operator_case.cuda == CudaKernel::yes && cuda_available()) check_cuda(operator_case);
}

void check_rounded_output(const std::vector<Tensor>& inputs, const RoundingFunction& function) {
  const std::vector<Tensor> values = converted(inputs, DType::f32);
  const auto with_output = [&](DType output) -> autograd::Function {
    return [&function, output](const auto& variables) { return function(variables, output); };
  };
  std::vector<Variable> variables;
  for (const Tensor& value : values) variables.emplace_back(value);
  for (const int count : {1, 2, 3}) {
    const Threads threads(count);
    const std::vector<Variable> exact = function(variables, DType::f32);
    const std::vector<Variable> rounded = function(variables, DType::bf16);
    REQUIRE(exact.size() == rounded.size());
    CHECK(rounded.back().dtype() == DType::bf16);
    for (size_t i = 0; i < exact.size(); ++i) {
      CHECK(bit_equal(rounded[i].value(), exact[i].value().to(rounded[i].dtype())));
    }
    check_bits("gradient through a rounded output", gradients_of(with_output(DType::bf16), values),
               gradients_of(with_output(DType::f32), values));
  }
}

}  // namespace dlcm::test
