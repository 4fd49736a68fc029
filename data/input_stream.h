// Bytes of a file or of standard input, decompressed where they are gzip or zstd: recognised by their first
// bytes, as a name may say anything.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

namespace dlcm::data {

class InputStream {
 public:
  virtual ~InputStream() = default;
  // Reads up to `bytes` bytes, at least one; 0 at the end. Throws InputError where compressed data are
  // damaged or end early, Error where reading fails.
  virtual size_t read(char* out, size_t bytes) = 0;
};

// `path` "-" is standard input. Throws InputError where there is no such file, or it is named .gz or .zst and
// is not.
std::unique_ptr<InputStream> open_input(const std::string& path);

}  // namespace dlcm::data
