// CRC-32 (zlib's, gzip's), by a library that uses the processor's carry-less products.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dlcm::data {

// Of bytes that follow those with the checksum `before`; 0 at the beginning.
uint32_t extended_crc32(uint32_t before, const void* data, size_t bytes);

}  // namespace dlcm::data
