#include "tensor/ops/swiglu.h"

#include "tensor/dispatch.h"
#include "tensor/ops/output_dtype.h"
#include "tensor/parallel.h"
#include "tensor/profile.h"
#include "tensor/vector_math.h"

namespace dlcm::cpu {
namespace {

constexpr int64_t kElementsPerRange = 4096;  // an exponential each

template <class T, class Out>
void forward(const Tensor& gate, const Tensor& up, const Tensor& y) {
  parallel_for(gate.numel(), kElementsPerRange, [&](int64_t begin, int64_t end) {
    const T* g = gate.data<T>();
    const T* u = up.data<T>();
    Out* out = y.data<Out>();
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) put(g[i] * sigmoid(g[i]) * u[i], out[i]);
  });
}

// silu'(x) = sigmoid(x) (1 + x (1 - sigmoid(x))). Results may lie where operands do.
template <class T, class Out>
void backward(const Tensor& dy, const Tensor& gate, const Tensor& up, const ops::SwigluGradients& result) {
  parallel_for(gate.numel(), kElementsPerRange, [&](int64_t begin, int64_t end) {
    const T* dout = dy.data<T>();
    const T* g = gate.data<T>();
    const T* u = up.data<T>();
    Out* dgate = result.dgate.data<Out>();
    Out* dup = result.dup.data<Out>();
    Out* y = result.y.data<Out>();
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) {
      const T gradient = dout[i], x = g[i], factor = u[i];
      const T s = sigmoid(x);
      put(gradient * factor * s * (T{1} + x * (T{1} - s)), dgate[i]);
      put(gradient * x * s, dup[i]);
      put(x * s * factor, y[i]);
    }
  });
}

void swiglu_forward(const Tensor& gate, const Tensor& up, const Tensor& y) {
  DLCM_FLOATING_OUTPUT(gate.dtype(), y.dtype(), T, Out, forward<T, Out>(gate, up, y));
}

void swiglu_backward(const Tensor& dy, const Tensor& gate, const Tensor& up,
                     const ops::SwigluGradients& result) {
  DLCM_FLOATING_OUTPUT(gate.dtype(), result.y.dtype(), T, Out, backward<T, Out>(dy, gate, up, result));
}

}  // namespace
}  // namespace dlcm::cpu

namespace dlcm::ops {
namespace {

void check_alike(const char* name, const Tensor& gate, const Tensor& other) {
  DLCM_CHECK(gate.shape() == other.shape() && gate.dtype() == other.dtype(), name, ": gate has shape ",
             gate.shape(), " of ", gate.dtype(), ", the other operand ", other.shape(), " of ",
             other.dtype());
}

}  // namespace

Tensor swiglu(const Tensor& gate, const Tensor& up, DType output) {
  check_alike("swiglu", gate, up);
  check_output("swiglu", gate.dtype(), output);
  const ProfileScope profile("swiglu", 5, gate.numel());
  const Tensor y = Tensor::empty(gate.shape(), output, gate.device());
  DLCM_DISPATCH_CPU(gate.device(), swiglu_forward(gate, up, y));
  return y;
}

SwigluGradients swiglu_backward(Tensor&& dy, Tensor&& gate, Tensor&& up, DType output) {
  check_alike("swiglu_backward", gate, up);
  check_alike("swiglu_backward", gate, dy);
  check_output("swiglu_backward", gate.dtype(), output);
  const ProfileScope profile("swiglu_backward", 12, gate.numel());
  const auto place_of = [output](const Tensor& argument) {
    const bool replaced = argument.unique() && argument.dtype() == output;
    return replaced ? argument : Tensor::empty(argument.shape(), output, argument.device());
  };
  const SwigluGradients result = {place_of(dy), place_of(up), place_of(gate)};
  DLCM_DISPATCH_CPU(gate.device(), swiglu_backward(dy, gate, up, result));
  return result;
}

}  // namespace dlcm::ops
