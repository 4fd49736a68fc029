// Element types of tensors, and the C++ type that stands for each.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <ostream>

#include "tensor/check.h"

namespace dlcm {

enum class DType : uint8_t { f32, f64, bf16, i32, i64, u8, u16, u32 };

// bfloat16: the upper half of a float32. Storage only; arithmetic is done in float.
struct Bf16 {
  uint16_t bits = 0;
  Bf16() = default;
  explicit Bf16(float value) : bits(rounded_bits(value)) {}
  // Rounds to nearest, ties to even; NaN stays NaN. Without branches: loops over it become vector
  // instructions.
  static uint16_t rounded_bits(float value) {
    const auto word = std::bit_cast<uint32_t>(value);
    const uint32_t nearest = word + 0x7fff + ((word >> 16) & 1);
    return static_cast<uint16_t>((value != value ? word | 0x400000 : nearest) >> 16);
  }
  explicit operator float() const { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }
};

size_t dtype_size(DType dtype);
const char* dtype_name(DType dtype);
inline std::ostream& operator<<(std::ostream& out, DType dtype) {
  return out << dtype_name(dtype);
}
inline bool is_floating(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f64 || dtype == DType::bf16;
}

template <class T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::f64;
};
template <>
struct DTypeOf<Bf16> {
  static constexpr DType value = DType::bf16;
};
template <>
struct DTypeOf<int32_t> {
  static constexpr DType value = DType::i32;
};
template <>
struct DTypeOf<int64_t> {
  static constexpr DType value = DType::i64;
};
template <>
struct DTypeOf<uint8_t> {
  static constexpr DType value = DType::u8;
};
template <>
struct DTypeOf<uint16_t> {
  static constexpr DType value = DType::u16;
};
template <>
struct DTypeOf<uint32_t> {
  static constexpr DType value = DType::u32;
};

}  // namespace dlcm
