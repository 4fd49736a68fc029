#include "tensor/dtype.h"

#include <cmath>
#include <limits>

#include <doctest/doctest.h>

using namespace dlcm;

TEST_CASE("dtype sizes, names and C++ types agree") {
  CHECK(dtype_size(DType::f32) == sizeof(float));
  CHECK(dtype_size(DType::f64) == sizeof(double));
  CHECK(dtype_size(DType::bf16) == sizeof(Bf16));
  CHECK(dtype_size(DType::i32) == 4);
  CHECK(dtype_size(DType::i64) == 8);
  CHECK(dtype_size(DType::u8) == 1);
  CHECK(dtype_size(DType::u16) == 2);
  CHECK(dtype_size(DType::u32) == 4);
  CHECK(concat(DType::f32, " ", DType::bf16, " ", DType::u16) == "f32 bf16 u16");
  CHECK(DTypeOf<float>::value == DType::f32);
  CHECK(DTypeOf<int32_t>::value == DType::i32);
  CHECK(is_floating(DType::bf16));
  CHECK_FALSE(is_floating(DType::i32));
}

TEST_CASE("bf16 rounds to nearest, ties to even, and keeps infinities and NaN") {
  const auto rounded = [](float value) { return static_cast<float>(Bf16(value)); };
  CHECK(rounded(1.0f) == 1.0f);
  CHECK(rounded(-2.5f) == -2.5f);
  CHECK(rounded(1.0f + 0x1p-8f) == 1.0f);                      // a tie: to the even neighbour below
  CHECK(rounded(1.0f + 0x1p-7f + 0x1p-8f) == 1.0f + 0x1p-6f);  // a tie: to the even neighbour above
  CHECK(rounded(1.0f + 0x1p-8f + 0x1p-20f) == 1.0f + 0x1p-7f);
  CHECK(rounded(std::numeric_limits<float>::max()) == std::numeric_limits<float>::infinity());
  CHECK(rounded(-std::numeric_limits<float>::infinity()) == -std::numeric_limits<float>::infinity());
  CHECK(std::isnan(rounded(std::numeric_limits<float>::quiet_NaN())));
  CHECK(std::isnan(rounded(std::bit_cast<float>(0x7f800001u))));  // would become infinity if cut off
  CHECK(std::signbit(rounded(-0.0f)));
}
