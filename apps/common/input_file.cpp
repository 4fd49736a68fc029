#include "apps/common/input_file.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tensor/check.h"

namespace dlcm::apps {
namespace {

constexpr size_t kBlock = size_t{1} << 20;

// Whether a file stands at its beginning behind standard input, so that it can be opened again.
bool input_is_file() {
  struct stat status {};
  return fstat(STDIN_FILENO, &status) == 0 && S_ISREG(status.st_mode) &&
         lseek(STDIN_FILENO, 0, SEEK_CUR) == 0;
}

// Makes a temporary file; `path` gets its name.
int temporary_file(std::string& path) {
  const char* folder = std::getenv("TMPDIR");
  path = concat(folder == nullptr || *folder == '\0' ? "/tmp" : folder, "/dlcm-input-XXXXXX");
  const int descriptor = mkostemp(path.data(), O_CLOEXEC);
  if (descriptor < 0) {
    throw Error(concat("standard input cannot be copied to '", path, "': ", std::strerror(errno),
                       "; TMPDIR names the folder of temporary files"));
  }
  return descriptor;
}

void write_all(int descriptor, const char* bytes, size_t count) {
  while (count > 0) {
    const ssize_t wrote = write(descriptor, bytes, count);
    if (wrote < 0 && errno == EINTR) continue;
    DLCM_CHECK(wrote > 0, "standard input cannot be copied to a temporary file: ", std::strerror(errno),
               "; TMPDIR names the folder of temporary files");
    bytes += wrote;
    count -= static_cast<size_t>(wrote);
  }
}

// Returns how many bytes there were.
size_t copy_input(int descriptor) {
  std::vector<char> block(kBlock);
  size_t copied = 0;
  while (true) {
    const ssize_t got = read(STDIN_FILENO, block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    DLCM_CHECK(got >= 0, "standard input cannot be read: ", std::strerror(errno));
    if (got == 0) return copied;
    write_all(descriptor, block.data(), static_cast<size_t>(got));
    copied += static_cast<size_t>(got);
  }
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

}  // namespace

InputFile::Copy::Copy() {
  const int descriptor = temporary_file(path);
  try {
    const size_t copied = copy_input(descriptor);
    DLCM_CHECK_INPUT(copied > 0, "standard input ('-') is empty, expected an HDF5 file");
  } catch (...) {
    close(descriptor);
    unlink(path.c_str());
    throw;
  }
  close(descriptor);
}

InputFile::Copy::~Copy() {
  unlink(path.c_str());
}

InputFile::InputFile(const std::string& argument) : path_(argument), is_standard_input_(argument == "-") {
  if (!is_standard_input_) return;
  if (input_is_file()) {
    path_ = "/dev/fd/0";
  } else {
    copy_ = std::make_unique<Copy>();
    path_ = copy_->path;
  }
}

std::string InputFile::name() const {
  return is_standard_input_ ? "standard input" : path_;
}

void InputFile::use(const std::function<void(const std::string& path)>& body) const {
  if (!is_standard_input_) return body(path_);
  const auto named = [&](const Error& error) {
    return replaced(replaced(error.what(), "'" + path_ + "'", name()), path_, name());
  };
  try {
    body(path_);
  } catch (const InputError& error) {
    throw InputError(named(error));
  } catch (const Error& error) {
    throw Error(named(error));
  }
}

}  // namespace dlcm::apps
