#include "apps/training/append_file.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tensor/check.h"

namespace dlcm::apps {

AppendFile::AppendFile(std::string path, std::string head) : path_(std::move(path)), head_(std::move(head)) {
  open();
  DLCM_CHECK(descriptor_ >= 0, path_, ": cannot be written: ", std::strerror(errno));
}

AppendFile::~AppendFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void AppendFile::open() {
  descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  struct stat opened {};
  const bool is_new = descriptor_ >= 0 && ::fstat(descriptor_, &opened) == 0 && opened.st_size == 0;
  if (is_new && !waiting_.starts_with(head_)) waiting_.insert(0, head_);
}

// Whether the open file is the one of that name.
bool AppendFile::is_current() const {
  struct stat opened {
  }, named{};
  return descriptor_ >= 0 && ::fstat(descriptor_, &opened) == 0 && ::stat(path_.c_str(), &named) == 0 &&
         opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

void AppendFile::write(std::string_view bytes) {
  waiting_ += bytes;
  if (!is_current()) {
    if (descriptor_ >= 0) ::close(descriptor_);
    open();
  }
  while (descriptor_ >= 0 && !waiting_.empty()) {
    const ssize_t written = ::write(descriptor_, waiting_.data(), waiting_.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) break;
    waiting_.erase(0, static_cast<size_t>(written));
  }
  failure_ = waiting_.empty() ? "" : concat(path_, ": cannot be written: ", std::strerror(errno));
}

void AppendFile::sync() const {
  const int descriptor = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  const bool synced = descriptor >= 0 && ::fsync(descriptor) == 0;
  const int reason = errno;
  if (descriptor >= 0) ::close(descriptor);
  DLCM_CHECK(synced, path_, ": cannot be written to the disk: ", std::strerror(reason));
}

}  // namespace dlcm::apps
