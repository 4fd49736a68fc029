// The dtype an operator writes its result in. A bf16 tensor is an operand of matrix products, rounded once,
// where it is made; all other values have the dtype that operators compute in.
#pragma once

#include "tensor/dispatch.h"
#include "tensor/dtype.h"

// Runs the statement with T standing for the C++ type of a floating dtype, and Out for that of the result: T,
// or Bf16 where T is float and `output` is bf16.
#define DLCM_FLOATING_OUTPUT(dtype, output, T, Out, ...)            \
  do {                                                              \
    if ((dtype) == ::dlcm::DType::f32 && (output) == DType::bf16) { \
      using T = float;                                              \
      using Out = ::dlcm::Bf16;                                     \
      __VA_ARGS__;                                                  \
    } else {                                                        \
      DLCM_FLOATING(dtype, T, {                                     \
        using Out = T;                                              \
        __VA_ARGS__;                                                \
      });                                                           \
    }                                                               \
  } while (false)

namespace dlcm {

// to = x, rounded where `to` is bf16. GCC makes vector instructions of this where it does not of `to =
// Bf16(x)`.
template <class T>
void put(T x, T& to) {
  to = x;
}
inline void put(float x, Bf16& to) {
  to.bits = Bf16::rounded_bits(x);
}

}  // namespace dlcm

namespace dlcm::ops {

// Throws Error naming the operator unless `output` is the dtype of the input, or bf16 of f32.
inline void check_output(const char* name, DType input, DType output) {
  DLCM_CHECK(output == input || (output == DType::bf16 && input == DType::f32), name, ": output of ", output,
             " from an input of ", input, "; expected ", input, input == DType::f32 ? " or bf16" : "");
}

}  // namespace dlcm::ops
