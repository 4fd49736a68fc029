#include "data/positioned_file.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tensor/check.h"

namespace dlcm::data {

PositionedFile::PositionedFile(const std::string& path) : path_(path) {
  descriptor_ = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  const int reason = errno;
  const std::string failed = concat("cannot read '", path, "': ");
  if (descriptor_ < 0 && (reason == ENOENT || reason == ENOTDIR)) {
    throw InputError(failed + std::strerror(reason));
  }
  DLCM_CHECK(descriptor_ >= 0, failed, std::strerror(reason));
  struct stat status {};
  const bool is_file = fstat(descriptor_, &status) == 0 && S_ISREG(status.st_mode);
  if (!is_file) close(descriptor_);
  DLCM_CHECK_INPUT(is_file, failed, "it is not a file");
  bytes_ = static_cast<uint64_t>(status.st_size);
}

PositionedFile::~PositionedFile() {
  close(descriptor_);
}

void PositionedFile::read(uint64_t offset, void* out, size_t bytes) const {
  auto* place = static_cast<char*>(out);
  while (bytes > 0) {
    const ssize_t got = pread(descriptor_, place, bytes, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    DLCM_CHECK(got >= 0, "cannot read '", path_, "': ", std::strerror(errno));
    DLCM_CHECK_INPUT(got > 0, "'", path_, "' ends at byte ", offset, ", expected ", bytes,
                     " more: it was cut since it was opened");
    place += got;
    offset += static_cast<uint64_t>(got);
    bytes -= static_cast<size_t>(got);
  }
}

std::string PositionedFile::text(uint64_t offset, size_t bytes) const {
  std::string text(bytes, '\0');
  read(offset, text.data(), bytes);
  return text;
}

}  // namespace dlcm::data
