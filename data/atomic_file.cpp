#include "data/atomic_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <mutex>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
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

// The process's number makes most names differ; where that one is taken by a file that somebody else holds
// (in containers processes on one disk may have the same number), `attempt` does.
std::string temporary_name(const std::string& path, int attempt) {
  const std::string name = fs::path(path).filename().string();
  const std::string number = attempt == 0 ? "" : concat(".", attempt);
  return (fs::path(folder_of(path)) / concat(".", name, kMark, getpid(), number)).string();
}

// ".NAME.tmp-" and digits, or digits, a point and digits.
bool is_temporary_name(const std::string& name) {
  constexpr char kDigits[] = "0123456789";
  const size_t mark = name.rfind(kMark);
  if (!name.starts_with('.') || mark == std::string::npos) return false;
  const std::string number = name.substr(mark + std::strlen(kMark));
  const size_t point = std::min(number.find('.'), number.size());
  const std::string process = number.substr(0, point);
  if (process.empty() || process.find_first_not_of(kDigits) != std::string::npos) return false;
  if (point == number.size()) return true;
  return point + 1 < number.size() && number.find_first_not_of(kDigits, point + 1) == std::string::npos;
}

// Whether the descriptor is of the file that has this name now.
bool has_name(int descriptor, const std::string& path) {
  struct stat opened {};
  struct stat named {};
  return fstat(descriptor, &opened) == 0 && lstat(path.c_str(), &named) == 0 &&
         opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

// Who writes a temporary holds its lock, on this machine or, on a shared disk, on another: the kernel takes
// it from a process that ends, however it ends. A file system without locks has no stale files.
void remove_if_abandoned(const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (descriptor < 0) return;
  if (flock(descriptor, LOCK_EX | LOCK_NB) == 0 && has_name(descriptor, path)) unlink(path.c_str());
  close(descriptor);
}

// A link carries no lock: its folder does while it is made (replace_link).
void remove_abandoned_link(const std::string& path) {
  const int folder = open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return;
  if (flock(folder, LOCK_EX | LOCK_NB) == 0) unlink(path.c_str());
  close(folder);
}

void remove_stale(const std::string& folder) {
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string path = entry->path().string();
    if (!is_temporary_name(entry->path().filename().string())) continue;
    std::error_code gone;  // another process may have removed it first
    const fs::file_type type = entry->symlink_status(gone).type();
    if (type == fs::file_type::regular) remove_if_abandoned(path);
    if (type == fs::file_type::symlink) remove_abandoned_link(path);
  }
}

// The unpublished files of this process. Every one keeps a descriptor, for its lock, and tokenize may have
// thousands of them: they may take a quarter of what the process is allowed, as shards that are read take
// half (open_files.h).
class HeldFiles {
 public:
  // Whether it is the only one in its folder.
  bool add(const std::string& folder) {
    const std::lock_guard lock(mutex_);
    ++count_;
    keep_descriptors_to_spare();
    return ++in_folder_[folder] == 1;
  }
  void remove(const std::string& folder) {
    const std::lock_guard lock(mutex_);
    --count_;
    const auto held = in_folder_.find(folder);
    if (--held->second == 0) in_folder_.erase(held);
  }

 private:
  void keep_descriptors_to_spare() const {
    struct rlimit limit {};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || 4 * count_ < limit.rlim_cur) return;
    limit.rlim_cur = std::min(limit.rlim_max, 2 * limit.rlim_cur);
    setrlimit(RLIMIT_NOFILE, &limit);
  }

  std::mutex mutex_;
  rlim_t count_ = 0;
  std::map<std::string, int64_t> in_folder_;
};

HeldFiles& held_files() {
  static HeldFiles held;
  return held;
}

// Opens and locks the file, empty; -1 and errno where it cannot be opened, EWOULDBLOCK where another holds
// it.
int open_locked(const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
  if (descriptor < 0) return -1;
  const bool taken = flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  // Between the two calls another process may have taken the file for abandoned and removed it.
  if (!taken && has_name(descriptor, path) && ftruncate(descriptor, 0) == 0) return descriptor;
  close(descriptor);
  errno = EWOULDBLOCK;
  return -1;
}

}  // namespace

// A rename is durable once its folder is.
void sync_folder(const std::string& folder) {
  const int descriptor = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  fsync(descriptor);
  close(descriptor);
}

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)) {
  std::error_code error;
  const fs::file_status status = fs::status(path_, error);
  if (status.type() == fs::file_type::directory) fail("it is a folder");
  const std::string folder = folder_of(path_);
  if (!fs::is_directory(folder, error)) fail(concat("there is no folder '", folder, "'"));
  constexpr int kAttempts = 100;
  for (int attempt = 0; descriptor_ < 0 && attempt < kAttempts; ++attempt) {
    temporary_ = temporary_name(path_, attempt);
    descriptor_ = open_locked(temporary_);
    if (descriptor_ < 0 && errno != EWOULDBLOCK) fail(std::strerror(errno));
  }
  if (descriptor_ < 0) fail(concat("'", temporary_, "' and the names before it are held by others"));
  // Once for files that are written side by side: of thousands each would look at all the others.
  if (held_files().add(folder)) remove_stale(folder);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  unlink(temporary_.c_str());  // while it is locked
  let_go();
}

void AtomicFile::let_go() {
  close(std::exchange(descriptor_, -1));
  held_files().remove(folder_of(path_));
}

void AtomicFile::fail(const std::string& reason) const {
  throw Error(concat("cannot write '", path_, "': ", reason));
}

void AtomicFile::reserve(uint64_t bytes) {
  reserved_ = std::max(reserved_, bytes);
  if (bytes <= taken_) return;
  // Ahead of what is asked for, where there is room: a file that grows asks many times.
  constexpr uint64_t kMostAhead = uint64_t{4} << 20;
  const uint64_t ahead = bytes + std::min(bytes / 2, kMostAhead);
  if (!take(ahead) && !take(bytes) && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)) {
    fail(concat(std::strerror(errno), " (", bytes, " bytes are needed)"));
  }
}

bool AtomicFile::take(uint64_t bytes) {
  int result = 0;
  do {
    result = fallocate(descriptor_, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(bytes));
  } while (result != 0 && errno == EINTR);
  if (result == 0) taken_ = bytes;
  return result == 0;
}

void AtomicFile::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail(std::strerror(errno));
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

void AtomicFile::start_write_back() const {
#ifdef SYNC_FILE_RANGE_WRITE
  sync_file_range(descriptor_, 0, 0, SYNC_FILE_RANGE_WRITE);  // whatever it says: finish() tells of failures
#endif
}

void AtomicFile::finish() {
  struct stat status {};
  if (fstat(descriptor_, &status) != 0) fail(std::strerror(errno));
  if (taken_ > 0 && ftruncate(descriptor_, status.st_size) != 0) fail(std::strerror(errno));
  if (fsync(descriptor_) != 0) fail(std::strerror(errno));
  finished_ = true;
}

void AtomicFile::publish(FolderSync sync) {
  DLCM_CHECK(finished_ && descriptor_ >= 0, "'", path_, "' is published before it is finished");
  if (rename(temporary_.c_str(), path_.c_str()) != 0) fail(std::strerror(errno));
  let_go();
  if (sync == FolderSync::now) sync_folder(folder_of(path_));
}

void write_file(const std::string& path, std::string_view contents) {
  AtomicFile file(path);
  file.reserve(contents.size());
  file.write(contents);
  file.finish();
  file.publish();
}

void link_or_copy(const std::string& from, const std::string& to) {
  const std::string temporary = to + ".tmp";
  std::error_code error;
  fs::remove(temporary, error);
  fs::create_hard_link(from, temporary, error);
  if (error) fs::copy_file(from, temporary, error);
  if (!error) fs::rename(temporary, to, error);
  std::error_code ignored;
  fs::remove(temporary, ignored);  // also there where both were one file already
  DLCM_CHECK(!error, to, ": cannot be made from ", from, ": ", error.message());
}

void remove_durably(const std::string& path) {
  if (unlink(path.c_str()) != 0 && errno != ENOENT) {
    throw Error(concat("cannot remove '", path, "': ", std::strerror(errno)));
  }
  sync_folder(folder_of(path));
}

void replace_link(const std::string& path, const std::string& target) {
  std::error_code error;
  const fs::file_type type = fs::symlink_status(path, error).type();
  DLCM_CHECK(type == fs::file_type::not_found || type == fs::file_type::symlink, "cannot write '", path,
             "': a file or folder that is not a link has this name: move it away");
  const std::string temporary = temporary_name(path, 0);
  const int folder = open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder >= 0) flock(folder, LOCK_EX);  // until it is closed
  unlink(temporary.c_str());
  const bool linked = symlink(target.c_str(), temporary.c_str()) == 0;
  const bool renamed = linked && rename(temporary.c_str(), path.c_str()) == 0;
  const int reason = errno;
  if (linked && !renamed) unlink(temporary.c_str());
  if (folder >= 0) close(folder);
  if (!renamed) throw Error(concat("cannot write the link '", path, "': ", std::strerror(reason)));
  sync_folder(folder_of(path));
}

}  // namespace dlcm::data
