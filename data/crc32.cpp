#include "data/crc32.h"

#include <libdeflate.h>

namespace dlcm::data {

uint32_t extended_crc32(uint32_t before, const void* data, size_t bytes) {
  return libdeflate_crc32(before, data, bytes);
}

}  // namespace dlcm::data
