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

// A pipe that nobody reads is an error, not a wait: O_NONBLOCK.
void AppendFile::open() {
  descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0666);
  struct stat opened {};
  const bool is_new = descriptor_ >= 0 && ::fstat(descriptor_, &opened) == 0 && opened.st_size == 0;
  if (!is_new) return;
  written_ = 0;  // of a record that another file has the beginning of
  const bool has_head = !waiting_.empty() && waiting_.front() == head_;
  if (!head_.empty() && !has_head) waiting_.push_front(head_);
}

// Whether the open file is the one of that name.
bool AppendFile::is_current() const {
  struct stat opened {
  }, named{};
  return descriptor_ >= 0 && ::fstat(descriptor_, &opened) == 0 && ::stat(path_.c_str(), &named) == 0 &&
         opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

void AppendFile::write(std::string_view bytes) {
  waiting_.emplace_back(bytes);
  retry();
}

void AppendFile::retry() {
  if (!is_current()) {
    if (descriptor_ >= 0) ::close(descriptor_);
    open();
  }
  if (descriptor_ >= 0) write_waiting();
  failure_ = waiting_.empty() ? "" : concat(path_, ": cannot be written: ", std::strerror(errno));
}

void AppendFile::write_waiting() {
  while (!waiting_.empty()) {
    const std::string& record = waiting_.front();
    const ssize_t written = ::write(descriptor_, record.data() + written_, record.size() - written_);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    written_ += static_cast<size_t>(written);
    if (written_ < record.size()) continue;
    waiting_.pop_front();
    written_ = 0;
  }
}

void AppendFile::sync() const {
  const int descriptor = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0 && errno == ENOENT) return;  // lost with its folder: nothing is left to be written
  // EINVAL: a device or a pipe, which keeps nothing.
  const bool synced = descriptor >= 0 && (::fsync(descriptor) == 0 || errno == EINVAL);
  const int reason = errno;
  if (descriptor >= 0) ::close(descriptor);
  DLCM_CHECK(synced, path_, ": cannot be written to the disk: ", std::strerror(reason));
}

}  // namespace dlcm::apps
