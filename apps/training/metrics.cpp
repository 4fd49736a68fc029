#include "apps/training/metrics.h"

#include <cerrno>
#include <cstring>
#include <fstream>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apps/common/json.h"
#include "data/atomic_file.h"
#include "tensor/check.h"

namespace dlcm::apps {
namespace {

// Whether the line is whole and belongs to a step that is kept.
bool kept(const std::string& line, int64_t last_step) {
  const std::optional<int64_t> step = json_whole_number(line, "step");
  return step && *step <= last_step;
}

void drop_later_lines(const std::string& path, int64_t last_step) {
  std::ifstream in(path);
  if (!in) return;
  std::string text;
  for (std::string line; std::getline(in, line);) {
    if (kept(line, last_step)) text += line + '\n';
  }
  data::write_file(path, text);
}

}  // namespace

MetricsLog::MetricsLog(const std::string& path, int64_t last_step) : path_(path) {
  drop_later_lines(path, last_step);
  open();
  DLCM_CHECK(descriptor_ >= 0, path, ": cannot be written: ", std::strerror(errno));
}

MetricsLog::~MetricsLog() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void MetricsLog::open() {
  descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
}

void MetricsLog::write(int64_t step, const Fields& fields) {
  JsonObject object;
  object.add("step", step);
  for (const auto& [name, value] : fields) {
    std::visit([&, &key = name](auto number) { object.add(key, number); }, value);
  }
  waiting_ += object.text() + '\n';
  write_waiting();
}

// A file that was lost with its folder is begun anew.
void MetricsLog::write_waiting() {
  struct stat opened {
  }, named{};
  const bool same = descriptor_ >= 0 && ::fstat(descriptor_, &opened) == 0 &&
                    ::stat(path_.c_str(), &named) == 0 && opened.st_ino == named.st_ino &&
                    opened.st_dev == named.st_dev;
  if (!same) {
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

void MetricsLog::sync() const {
  const int descriptor = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  const bool synced = descriptor >= 0 && ::fsync(descriptor) == 0;
  const int reason = errno;
  if (descriptor >= 0) ::close(descriptor);
  DLCM_CHECK(synced, path_, ": cannot be written to the disk: ", std::strerror(reason));
}

}  // namespace dlcm::apps
