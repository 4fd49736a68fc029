#include "data/atomic_folder.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "tensor/check.h"

namespace dlcm::data {
namespace {

namespace fs = std::filesystem;

int open_folder(const std::string& path) {
  return open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

void sync_folder(const std::string& path) {
  const int descriptor = open_folder(path);
  if (descriptor < 0) return;
  fsync(descriptor);
  close(descriptor);
}

// Those of processes that have ended: nobody holds their locks.
void remove_abandoned(const fs::path& folder, const std::string& beginning) {
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string number = entry->path().filename().string();
    if (!number.starts_with(beginning) || number.size() == beginning.size()) continue;
    if (number.find_first_not_of("0123456789", beginning.size()) != std::string::npos) continue;
    const int descriptor = open_folder(entry->path().string());
    if (descriptor < 0) continue;
    std::error_code gone;
    if (flock(descriptor, LOCK_EX | LOCK_NB) == 0) fs::remove_all(entry->path(), gone);
    close(descriptor);
  }
}

// Links are followed, and "a/b/" is "a/b".
fs::path whole_path(const std::string& path) {
  const fs::path whole = fs::weakly_canonical(fs::absolute(path));
  return whole.has_filename() ? whole : whole.parent_path();
}

}  // namespace

AtomicFolder::AtomicFolder(const std::string& path) : path_(whole_path(path).string()) {
  const fs::path folder = fs::path(path_).parent_path();
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail(concat("'", folder.string(), "' cannot be made: ", error.message()));
  const std::string beginning = concat(".", fs::path(path_).filename().string(), ".folder-");
  remove_abandoned(folder, beginning);
  const std::string temporary = (folder / concat(beginning, getpid())).string();
  if (!fs::create_directory(temporary, error)) {
    fail(error ? error.message() : concat("'", temporary, "' is held by another"));
  }
  temporary_ = temporary;
  descriptor_ = open_folder(temporary_);
  if (descriptor_ >= 0) flock(descriptor_, LOCK_EX | LOCK_NB);
}

AtomicFolder::~AtomicFolder() {
  std::error_code ignored;
  if (!temporary_.empty()) fs::remove_all(temporary_, ignored);  // while it is locked
  if (descriptor_ >= 0) close(descriptor_);
}

void AtomicFolder::fail(const std::string& reason) const {
  throw Error(concat("cannot write the folder '", path_, "': ", reason));
}

// The old one then has the temporary's name, and goes with this object.
void AtomicFolder::replace_old() {
  if (renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, path_.c_str(), RENAME_EXCHANGE) == 0) return;
  if (errno != EINVAL && errno != ENOSYS) fail(std::strerror(errno));
  // A file system without exchange: there is no folder of the name for a moment.
  const std::string aside = temporary_ + "0";
  if (rename(path_.c_str(), aside.c_str()) != 0) fail(std::strerror(errno));
  if (rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int reason = errno;
    rename(aside.c_str(), path_.c_str());
    fail(std::strerror(reason));
  }
  temporary_ = aside;
}

void AtomicFolder::publish() {
  sync_folder(temporary_);
  std::error_code error;
  if (fs::exists(path_, error) && !fs::is_empty(path_, error)) {
    replace_old();
  } else {
    if (rename(temporary_.c_str(), path_.c_str()) != 0) fail(std::strerror(errno));
    temporary_.clear();
  }
  sync_folder(fs::path(path_).parent_path().string());
}

}  // namespace dlcm::data
