// The seal: what makes any flipped bit of a file of ours noticed.
//
// HDF5 lets a file begin with a block that it does not read (the user block). Ours has 512 bytes: the line
//   dlcm-file crc32=XXXXXXXX length=N
// and zeros, where N is the number of bytes after the block and XXXXXXXX their CRC-32 (zlib's), in
// hexadecimal. h5py and the HDF5 tools read such files as any other.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace dlcm::data {

inline constexpr int64_t kSealBytes = 512;

// Reads what follows the first 512 bytes of the open file and writes the seal there. `path` is for messages.
void write_seal(int descriptor, const std::string& path);

// What changes when a file is replaced or written: tells at little cost whether it is still the one that was
// verified.
struct FileStamp {
  uint64_t device = 0;
  uint64_t inode = 0;
  int64_t bytes = 0;
  int64_t modified_seconds = 0;
  int64_t modified_nanoseconds = 0;
  bool operator==(const FileStamp&) const = default;
};
std::optional<FileStamp> file_stamp(const std::string& path);  // nothing where there is no such file

struct SealCheck {
  bool sealed = false;  // false: a plain HDF5 file of somebody else, nothing was checked
  std::string damage;   // empty where the file is whole
  FileStamp stamp;      // from before it was read
};
// Reads the whole file; `name` is what messages call it. Throws InputError where there is no such file, it is
// not a regular file, empty or not HDF5, and Error where it may not be read. Never waits for a writer, as
// opening a named pipe would.
SealCheck check_seal(const std::string& path, const std::string& name);

}  // namespace dlcm::data
