#include "data/crc32.h"

#include <string>

#include <doctest/doctest.h>

using namespace dlcm::data;

TEST_CASE("crc32: its check value, and in parts") {
  const std::string digits = "123456789";  // of the catalogue of CRCs: CRC-32/ISO-HDLC
  CHECK(extended_crc32(0, digits.data(), 9) == 0xcbf43926);
  CHECK(extended_crc32(0, nullptr, 0) == 0);
  for (size_t first = 0; first <= 9; ++first) {
    const uint32_t before = extended_crc32(0, digits.data(), first);
    CHECK(extended_crc32(before, digits.data() + first, 9 - first) == 0xcbf43926);
  }
}
