// Half precision (IEEE 754 binary16): files of others hold it; nothing here computes in it.
#pragma once

#include <bit>
#include <cstdint>

namespace dlcm::data {

// The float32 of the same value: every half has one. NaN keeps its sign and payload.
inline float float_of_half(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1f;
  const uint32_t fraction = bits & 0x3ff;
  if (exponent == 0) {  // zero and subnormal values: fraction x 2^-24
    const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
  }
  constexpr uint32_t kBiasDifference = 127 - 15;
  const uint32_t float_exponent = exponent == 0x1f ? 0xff : exponent + kBiasDifference;
  return std::bit_cast<float>(sign | float_exponent << 23 | fraction << 13);
}

}  // namespace dlcm::data
