#include "apps/training/metrics.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
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
  out_.open(path, std::ios::app);
  DLCM_CHECK(out_.good(), path, ": cannot be written: ", std::strerror(errno));
}

void MetricsLog::write(int64_t step, const Fields& fields) {
  JsonObject object;
  object.add("step", step);
  for (const auto& [name, value] : fields) {
    std::visit([&, &key = name](auto number) { object.add(key, number); }, value);
  }
  out_ << object.text() << '\n' << std::flush;
  DLCM_CHECK(out_.good(), path_, ": cannot be written: ", std::strerror(errno));
}

void MetricsLog::sync() const {
  const int descriptor = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  const bool synced = descriptor >= 0 && ::fsync(descriptor) == 0;
  const int reason = errno;
  if (descriptor >= 0) ::close(descriptor);
  DLCM_CHECK(synced, path_, ": cannot be written to the disk: ", std::strerror(reason));
}

}  // namespace dlcm::apps
