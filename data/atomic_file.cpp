#include "data/atomic_file.h"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <utility>

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tensor/check.h"

namespace dlcm::data {
namespace {

namespace fs = std::filesystem;

constexpr char kMark[] = ".tmp-";

std::string folder_of(const std::string& path) {
  const fs::path parent = fs::path(path).parent_path();
  return parent.empty() ? "." : parent.string();
}

std::string temporary_name(const std::string& path) {
  const std::string name = fs::path(path).filename().string();
  return (fs::path(folder_of(path)) / concat(".", name, kMark, getpid())).string();
}

// Whether `name` is a temporary whose process is gone; a temporary of our own for the same file is to be
// written over in any case (in a container every run may have the same process id).
bool is_stale(const std::string& name) {
  const size_t mark = name.rfind(kMark);
  if (name.empty() || name[0] != '.' || mark == std::string::npos) return false;
  const char* begin = name.data() + mark + std::strlen(kMark);
  const char* end = name.data() + name.size();
  int process = 0;
  const auto [stop, error] = std::from_chars(begin, end, process);
  if (error != std::errc() || stop != end || process <= 0) return false;
  return kill(process, 0) != 0 && errno == ESRCH;
}

void remove_stale(const std::string& folder) {
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    if (!is_stale(entry->path().filename().string())) continue;
    std::error_code ignored;  // another process may have removed it first
    fs::remove(entry->path(), ignored);
  }
}

// A rename is durable once its folder is. Some file systems cannot sync a folder: nothing to be done there.
void sync_folder(const std::string& folder) {
  const int descriptor = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  fsync(descriptor);
  close(descriptor);
}

}  // namespace

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)), temporary_(temporary_name(path_)) {
  std::error_code error;
  const fs::file_status status = fs::status(path_, error);
  if (status.type() == fs::file_type::directory) fail("it is a folder");
  const std::string folder = folder_of(path_);
  if (!fs::is_directory(folder, error)) fail(concat("there is no folder '", folder, "'"));
  remove_stale(folder);
  descriptor_ = open(temporary_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail(std::strerror(errno));
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) close(descriptor_);
  if (!published_) unlink(temporary_.c_str());
}

void AtomicFile::fail(const std::string& reason) const {
  throw Error(concat("cannot write '", path_, "': ", reason));
}

void AtomicFile::reserve(uint64_t bytes) {
  if (bytes <= reserved_) return;
  int result = 0;
  do {
    result = fallocate(descriptor_, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(bytes));
  } while (result != 0 && errno == EINTR);
  if (result != 0 && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)) {
    fail(concat(std::strerror(errno), " (", bytes, " bytes are needed)"));
  }
  reserved_ = bytes;
}

void AtomicFile::finish() {
  struct stat status {};
  if (fstat(descriptor_, &status) != 0) fail(std::strerror(errno));
  if (reserved_ > 0 && ftruncate(descriptor_, status.st_size) != 0) fail(std::strerror(errno));
  if (fsync(descriptor_) != 0) fail(std::strerror(errno));
  const int closing = std::exchange(descriptor_, -1);
  if (close(closing) != 0) fail(std::strerror(errno));
}

void AtomicFile::publish() {
  DLCM_CHECK(descriptor_ < 0, "'", path_, "' is published before it is finished");
  if (rename(temporary_.c_str(), path_.c_str()) != 0) fail(std::strerror(errno));
  published_ = true;
  sync_folder(folder_of(path_));
}

void replace_link(const std::string& path, const std::string& target) {
  std::error_code error;
  const fs::file_type type = fs::symlink_status(path, error).type();
  DLCM_CHECK(type == fs::file_type::not_found || type == fs::file_type::symlink, "cannot write '", path,
             "': a file or folder that is not a link has this name: move it away");
  const std::string temporary = temporary_name(path);
  unlink(temporary.c_str());
  const bool linked = symlink(target.c_str(), temporary.c_str()) == 0;
  if (!linked || rename(temporary.c_str(), path.c_str()) != 0) {
    const int reason = errno;
    unlink(temporary.c_str());
    throw Error(concat("cannot write the link '", path, "': ", std::strerror(reason)));
  }
  sync_folder(folder_of(path));
}

}  // namespace dlcm::data
