// One helper tests an operator whole; a failure prints the worst index, both values and the share of the
// tolerance used.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "autograd/grad_check.h"
#include "tensor/tensor.h"

namespace dlcm::test {

// Normal numbers times `scale`, a pure function of (shape, seed).
Tensor random_tensor(Shape shape, DType dtype, uint64_t seed, double scale = 1.0);

struct Comparison {
  bool passed = false;
  std::string message;  // worst index, both values, share of the tolerance
};
// |found - expected| <= tolerance * max(1, |expected|) for each element; NaN never passes, equal infinities
// do. Shapes must be equal; dtypes may differ.
Comparison compare(const Tensor& found, const Tensor& expected, double tolerance);
// Whether both have the same dtype, shape and bytes.
bool bit_equal(const Tensor& a, const Tensor& b);

enum class CudaKernel { no, yes };

// An operator under test. Inputs are the floating tensors; ids, offsets and the like are captured by the
// functions.
struct OperatorCase {
  std::string name;
  std::vector<Tensor> inputs;  // f64; also used rounded to f32
  // The operator: any number of outputs, in the dtype of its inputs.
  std::function<std::vector<Tensor>(const std::vector<Tensor>&)> run;
  // The formula as plain loops over f64.
  std::function<std::vector<Tensor>(const std::vector<Tensor>&)> reference;
  // The same operator on variables; empty for operators that are not differentiable.
  autograd::Function differentiable;
  double tolerance_f32 = 1e-5;
  double tolerance_f64 = 1e-12;
  autograd::GradCheckOptions gradients = {};
  // Whether forward and backward have CUDA kernels (f32), to be compared with the CPU's.
  CudaKernel cuda = CudaKernel::no;
};

// doctest CHECKs of: output shapes; values in f64 and f32 against the reference; inputs that are views into
// the middle of larger tensors (the same bits) and are left as they were; the same bits, forward and
// backward, with 1, 2 and 3 threads; the gradient check, its gradients in f32 within 10 tolerance_f32 of
// those in f64; and, for an operator that has a CUDA kernel, where there is a device (real or emulated), the
// CUDA result against the CPU's.
void check_operator(const OperatorCase& operator_case);

// An operator that can round its result, the last of its outputs, to bf16: with 1, 2 and 3 threads the bits
// of its f32 result, rounded, and the gradients (f32) that it has without rounding. Inputs are f64, used
// rounded to f32.
using RoundingFunction = std::function<std::vector<autograd::Variable>(
    const std::vector<autograd::Variable>& inputs, DType output)>;
void check_rounded_output(const std::vector<Tensor>& inputs, const RoundingFunction& function);

}  // namespace dlcm::test

#define CHECK_CLOSE(found, expected, tolerance)                                      \
  do {                                                                               \
    const auto comparison = ::dlcm::test::compare((found), (expected), (tolerance)); \
    CHECK_MESSAGE(comparison.passed, comparison.message);                            \
  } while (false)
