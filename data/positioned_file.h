// A regular file that is read at given places.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace dlcm::data {

// Any number of threads may read at a time.
class PositionedFile {
 public:
  // Throws InputError where there is no such file or it is not a regular one (never waits for a writer, as
  // opening a named pipe would), Error where it may not be read.
  explicit PositionedFile(const std::string& path);
  ~PositionedFile();
  PositionedFile(const PositionedFile&) = delete;
  PositionedFile& operator=(const PositionedFile&) = delete;

  const std::string& path() const { return path_; }
  uint64_t bytes() const { return bytes_; }  // when it was opened
  // Throws InputError where the file ends before.
  void read(uint64_t offset, void* out, size_t bytes) const;
  // [offset, offset + bytes) as text.
  std::string text(uint64_t offset, size_t bytes) const;

 private:
  std::string path_;
  int descriptor_ = -1;
  uint64_t bytes_ = 0;
};

}  // namespace dlcm::data
