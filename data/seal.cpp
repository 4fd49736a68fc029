#include "data/seal.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/crc32.h"
#include "tensor/check.h"

namespace dlcm::data {
namespace {

constexpr std::array<unsigned char, 8> kHdf5Signature = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
constexpr char kSealStart[] = "dlcm-fil";  // the 8 bytes in the signature's place
constexpr size_t kReadBytes = size_t{1} << 20;

using SealText = std::array<char, kSealBytes>;

class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  ~Descriptor() { close(value_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return value_; }

 private:
  int value_;
};

SealText seal_text(uint32_t crc, int64_t length) {
  SealText text{};
  std::snprintf(text.data(), text.size(), "dlcm-file crc32=%08x length=%lld\n", crc,
                static_cast<long long>(length));
  return text;
}

// Up to `bytes` bytes at `offset`; fewer only at the end of the file.
size_t read_at(int descriptor, const std::string& path, void* out, size_t bytes, int64_t offset) {
  size_t done = 0;
  while (done < bytes) {
    const ssize_t got = pread(descriptor, static_cast<char*>(out) + done, bytes - done,
                              static_cast<off_t>(offset) + static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    DLCM_CHECK(got >= 0, "cannot read '", path, "': ", std::strerror(errno));
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  return done;
}

FileStamp stamp_of(const struct stat& status) {
  return {status.st_dev, status.st_ino, status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
}

struct Content {
  uint32_t crc = 0;
  int64_t length = 0;
};

// Of everything after the seal.
Content read_content(int descriptor, const std::string& path) {
  std::vector<unsigned char> buffer(kReadBytes);
  Content content;
  while (true) {
    const size_t got = read_at(descriptor, path, buffer.data(), buffer.size(), kSealBytes + content.length);
    content.crc = extended_crc32(content.crc, buffer.data(), got);
    content.length += static_cast<int64_t>(got);
    if (got < buffer.size()) break;
  }
  return content;
}

// What is wrong with a file that begins as sealed files do; empty where nothing is.
std::string find_damage(int descriptor, const std::string& path, int64_t file_bytes) {
  SealText found{};
  if (read_at(descriptor, path, found.data(), found.size(), 0) < found.size()) {
    return concat("truncated: ", file_bytes, " bytes, fewer than any shard or checkpoint has");
  }
  unsigned crc = 0;
  long long length = 0;
  const std::string line(found.data(), strnlen(found.data(), found.size()));
  const int fields = std::sscanf(line.c_str(), "dlcm-file crc32=%8x length=%lld", &crc, &length);
  // Exactly the text that was written, zeros included: a flip anywhere in the block shows.
  if (fields != 2 || seal_text(crc, length) != found) {
    return "damaged: its first 512 bytes are not a valid seal";
  }
  const int64_t content_bytes = file_bytes - kSealBytes;
  if (content_bytes < length) {
    return concat("truncated: ", file_bytes, " of ", length + kSealBytes, " bytes");
  }
  if (content_bytes > length) {
    return concat("damaged: ", content_bytes - length, " bytes too many at its end");
  }
  if (read_content(descriptor, path).crc != crc)
    return "damaged: checksum differs (another program may have written to it)";
  return {};
}

}  // namespace

void write_seal(int descriptor, const std::string& path) {
  const Content content = read_content(descriptor, path);
  const SealText text = seal_text(content.crc, content.length);
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t wrote =
        pwrite(descriptor, text.data() + done, text.size() - done, static_cast<off_t>(done));
    if (wrote < 0 && errno == EINTR) continue;
    DLCM_CHECK(wrote > 0, "cannot write '", path, "': ", std::strerror(errno));
    done += static_cast<size_t>(wrote);
  }
}

std::optional<FileStamp> file_stamp(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return std::nullopt;
  return stamp_of(status);
}

SealCheck check_seal(const std::string& path, const std::string& name) {
  // O_NONBLOCK: a named pipe without a writer would be waited for. Regular files do not heed it.
  const int opened = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (opened < 0) {
    const int reason = errno;
    DLCM_CHECK_INPUT(reason != ENXIO, "'", name,
                     "' is not a regular file, expected an HDF5 file");  // a socket
    const std::string message = concat("cannot read '", name, "': ", std::strerror(reason));
    if (reason == ENOENT || reason == ENOTDIR) throw InputError(message);
    throw Error(message);
  }
  const Descriptor descriptor(opened);
  struct stat status {};
  DLCM_CHECK(fstat(opened, &status) == 0, "cannot read '", name, "': ", std::strerror(errno));
  DLCM_CHECK_INPUT(!S_ISDIR(status.st_mode), "'", name, "' is a folder, expected an HDF5 file");
  DLCM_CHECK_INPUT(S_ISREG(status.st_mode), "'", name, "' is not a regular file, expected an HDF5 file");
  DLCM_CHECK_INPUT(status.st_size > 0, "'", name, "' is empty, expected an HDF5 file");
  std::array<unsigned char, 8> start{};
  read_at(opened, name, start.data(), start.size(), 0);
  const FileStamp stamp = stamp_of(status);
  if (start == kHdf5Signature) return {false, {}, stamp};
  DLCM_CHECK_INPUT(std::memcmp(start.data(), kSealStart, start.size()) == 0, "'", name,
                   "' is not an HDF5 file (", status.st_size, " bytes): expected a shard or checkpoint");
  return {true, find_damage(opened, name, status.st_size), stamp};
}

}  // namespace dlcm::data
