// Safetensors files, whole and damaged, from their parts.
#pragma once

#include <cstring>
#include <string>

namespace dlcm::test {

// A file with this header and these bytes behind it. `length` is what the file says of the header.
inline std::string safetensors_file(const std::string& header, const std::string& data, uint64_t length) {
  std::string bytes(sizeof(length), '\0');
  std::memcpy(bytes.data(), &length, sizeof(length));
  return bytes + header + data;
}

inline std::string safetensors_file(const std::string& header, const std::string& data) {
  return safetensors_file(header, data, header.size());
}

}  // namespace dlcm::test
