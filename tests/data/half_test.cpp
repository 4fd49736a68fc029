#include "data/half.h"

#include <cmath>
#include <limits>

#include <doctest/doctest.h>

using dlcm::data::float_of_half;

namespace {

// By the definition of the format.
double value_of_half(int bits) {
  const int exponent = (bits >> 10) & 31;
  const int fraction = bits & 1023;
  const double sign = bits >> 15 ? -1.0 : 1.0;
  if (exponent == 31) return fraction ? std::nan("") : sign * std::numeric_limits<double>::infinity();
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  return sign * std::ldexp(1024 + fraction, exponent - 25);
}

}  // namespace

TEST_CASE("half: all 65,536 values become the same float32") {
  int wrong = 0, not_numbers = 0;
  for (int bits = 0; bits < 65536; ++bits) {
    const float found = float_of_half(static_cast<uint16_t>(bits));
    const double expected = value_of_half(bits);
    not_numbers += std::isnan(found);
    const bool equal = std::isnan(expected) ? std::isnan(found) : found == expected;
    wrong += !equal || std::signbit(found) != (bits >= 0x8000);
  }
  CHECK(wrong == 0);
  CHECK(not_numbers == 2 * 1023);
}

TEST_CASE("half: a NaN keeps its payload") {
  CHECK(std::bit_cast<uint32_t>(float_of_half(0x7c01)) == 0x7f802000);
  CHECK(std::bit_cast<uint32_t>(float_of_half(0xfe00)) == 0xffc00000);
}
